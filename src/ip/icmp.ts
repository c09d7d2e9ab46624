/**
 * ICMP messages (RFC 792).
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------+---------------+-------------------------------+
 * |     Type      |     Code      |           Checksum            |
 * +---------------+---------------+-------------------------------+
 * |  Identifier (echo), or other  |   Sequence number, or other   |
 * +---------------+---------------+-------------------------------+
 * |  Data (echo), or the packet that caused the error …           |
 * ```
 *
 * @module
 */
import { checksum, isIntact, replaceUint16 } from "../buffer/checksum.ts";
import { MAX_PACKET, type PacketBuffer } from "../buffer/packet_buffer.ts";
import type { IpAddress } from "./address.ts";
import { IPV4_HEADER, ipv4Packet, type Ipv4View, Protocol } from "./ipv4.ts";

/** Byte offsets in an ICMP message. */
const At = { type: 0, code: 1, checksum: 2, identifier: 4, sequence: 6, data: 8 } as const;

/** Offset of the checksum in an ICMP header. */
export const ICMP_CHECKSUM: number = At.checksum;

/** Length of an ICMP header, in bytes. */
export const ICMP_HEADER = 8;

/** Message types (IANA "ICMP Type Numbers"). */
export const IcmpType = {
  /** The answer to an echo request. */
  echoReply: 0,
  /** The packet did not reach its destination; the code says why. */
  destinationUnreachable: 3,
  /** A request for an echo reply, as `ping` sends it. */
  echoRequest: 8,
  /** The packet's TTL, or the time to reassemble it, has run out. */
  timeExceeded: 11,
  /** A header field is invalid. */
  parameterProblem: 12,
} as const;

/** Codes of {@linkcode IcmpType.destinationUnreachable} (RFC 792, RFC 1812 §5.2.7.1). */
export const Unreachable = {
  /** A router has no route to the network. */
  network: 0,
  /** The last router cannot find the host. */
  host: 1,
  /** The packet exceeds a link's MTU and must not be fragmented. */
  fragmentationNeeded: 4,
  /** A router refuses to forward such packets. */
  administrativelyProhibited: 13,
} as const;

/** Why an ICMP message is invalid. */
export type IcmpFault = "bad-length" | "icmp-checksum";

/**
 * Checks the ICMP message that a packet carries. The functions below trust a message that passed.
 *
 * Does not verify the checksum of a first fragment, because it covers the later ones too.
 *
 * @param packet a whole packet or a first fragment, shown by `ip`; its protocol is ICMP
 * @returns a fault, or undefined
 */
export function icmpFault({ view }: PacketBuffer, ip: Ipv4View): IcmpFault | undefined {
  const { payload, end, isFragment } = ip;
  if (end - payload < ICMP_HEADER) return "bad-length";
  return isFragment || isIntact(view, payload, end) ? undefined : "icmp-checksum";
}

/** The type of the message at `start`. */
export function icmpType(view: DataView, start: number): number {
  return view.getUint8(start + At.type);
}

/**
 * Whether this is the type of an error message, which never causes another one (RFC 1122 §3.2.2).
 */
export function isIcmpError(type: number): boolean {
  // 4 is source quench, 5 is redirect. Both are obsolete, but some hosts may still send them.
  return isReport(type) || type === 4 || type === 5;
}

/** Whether this is the type of an error that tells a sender what happened to its packet. */
export function isReport(type: number): boolean {
  return type === IcmpType.destinationUnreachable || type === IcmpType.timeExceeded ||
    type === IcmpType.parameterProblem;
}

/** The code of the message at `start`. */
export function icmpCode(view: DataView, start: number): number {
  return view.getUint8(start + At.code);
}

/** The identifier of the echo message at `start`. */
export function echoIdentifier(view: DataView, start: number): number {
  return view.getUint16(start + At.identifier);
}

/** The sequence number of the echo message at `start`. */
export function echoSequence(view: DataView, start: number): number {
  return view.getUint16(start + At.sequence);
}

/**
 * Replaces the identifier of the echo message `view[start, end)`, and updates its checksum. The
 * message may be cut off, as in a quote.
 */
export function replaceEchoIdentifier(view: DataView, start: number, end: number, identifier: number): void {
  replaceUint16(view, start + At.identifier, identifier, start + At.checksum);
  fixZeros(view, start, end);
}

/**
 * Turns the echo request `view[start, end)` into its reply (RFC 792 p. 14). Type and code
 * become 0.
 */
export function turnIntoEchoReply(view: DataView, start: number, end: number): void {
  replaceUint16(view, start + At.type, IcmpType.echoReply << 8, start + At.checksum);
  fixZeros(view, start, end);
}

/**
 * An incremental update assumes that some covered word is not zero (RFC 1624 §3). An echo reply may
 * be all zeros, and then the update yields the wrong one of the two zeros.
 */
function fixZeros(view: DataView, start: number, end: number): void {
  for (let at = start; at < end; at++) if (view.getUint8(at) !== 0) return;
  view.setUint16(start + At.checksum, 0xffff);
}

/**
 * Writes the header of the message `view[start, end)` with its checksum. The data is in place.
 *
 * @param rest the second word, whose meaning depends on the type
 */
export function writeIcmpHeader(
  view: DataView,
  start: number,
  end: number,
  type: number,
  code: number,
  rest: number,
): void {
  view.setUint32(start, type << 24 | code << 16); // the checksum is 0 while it is computed
  view.setUint32(start + At.identifier, rest);
  view.setUint16(start + At.checksum, checksum(view, start, end));
}

/** The fields of an echo request that the sender chooses. */
export interface EchoRequestFields {
  /** The source address. */
  readonly source: IpAddress;
  /** The host that is to reply. */
  readonly destination: IpAddress;
  /** Tells one `ping` from another. */
  readonly identifier: number;
  /** Tells one request from the next. */
  readonly sequence: number;
  /** Data that the reply repeats. Default: none. */
  readonly data?: Uint8Array;
  /** Time to live. Default: 64. */
  readonly ttl?: number;
}

/**
 * Makes an IPv4 packet with an echo request, as `ping` sends it.
 *
 * @throws {RangeError} if the data is longer than 65,507 bytes, the max of a packet
 */
export function echoRequest(fields: EchoRequestFields): Uint8Array<ArrayBuffer> {
  const { source, destination, identifier, sequence, data = new Uint8Array(), ttl = 64 } = fields;
  if (data.length > MAX_PACKET - IPV4_HEADER - ICMP_HEADER) {
    throw new RangeError(`${data.length} bytes of data do not fit into a packet`);
  }
  const message = new Uint8Array(ICMP_HEADER + data.length);
  message.set(data, At.data);
  const rest = identifier << 16 | sequence;
  writeIcmpHeader(new DataView(message.buffer), 0, message.length, IcmpType.echoRequest, 0, rest);
  const { icmp: protocol } = Protocol;
  return ipv4Packet(message, { identification: sequence, ttl, protocol, source, destination });
}
