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
 * |  Data (echo), or the packet that the message is about …       |
 * ```
 *
 * @module
 */
import { checksum, isIntact, replaceUint16 } from "../buffer/checksum.ts";
import { MAX_PACKET } from "../buffer/packet_buffer.ts";
import type { IpAddress } from "./address.ts";
import { IPV4_HEADER, Protocol, writeIpv4Header } from "./ipv4.ts";

/** Byte offsets in an ICMP message. */
const At = { type: 0, code: 1, checksum: 2, identifier: 4, sequence: 6, data: 8 } as const;

/** Offset of the checksum in an ICMP header. */
export const ICMP_CHECKSUM: number = At.checksum;

/** Bytes of an ICMP header. */
export const ICMP_HEADER = 8;

/** Message types (IANA "ICMP Type Numbers"). */
export const IcmpType = {
  /** The answer to an echo request. */
  echoReply: 0,
  /** The packet could not be brought to its destination; the code says why. */
  destinationUnreachable: 3,
  /** What `ping` sends. */
  echoRequest: 8,
  /** The packet's time to live, or a fragment's time to be reassembled, is over. */
  timeExceeded: 11,
  /** A header field makes no sense. */
  parameterProblem: 12,
} as const;

/** Codes of {@linkcode IcmpType.destinationUnreachable} (RFC 792, RFC 1812 §5.2.7.1). */
export const Unreachable = {
  /** A router on the way knows no way to the network. */
  network: 0,
  /** The last router on the way cannot find the host. */
  host: 1,
  /** A link on the way takes only shorter packets, and this one must not be fragmented. */
  fragmentationNeeded: 4,
  /** A router on the way does not carry such packets. */
  administrativelyProhibited: 13,
} as const;

/** What can be wrong with an ICMP message. */
export type IcmpFault = "bad-length" | "icmp-checksum";

/**
 * What is wrong with the ICMP message `view[start, end)`, or undefined. The functions below trust a message that
 * passed.
 *
 * @param whole false for a first fragment: the checksum also covers bytes that are not here, and cannot be checked
 */
export function icmpFault(view: DataView, start: number, end: number, whole = true): IcmpFault | undefined {
  if (end - start < ICMP_HEADER) return "bad-length";
  return !whole || isIntact(view, start, end) ? undefined : "icmp-checksum";
}

/** The type of the message at `start`. */
export function icmpType(view: DataView, start: number): number {
  return view.getUint8(start + At.type);
}

/** Whether messages of this type tell of an error with another packet; such never cause further errors (RFC 1122 §3.2.2). */
export function isIcmpError(type: number): boolean {
  // 4 is source quench and 5 is redirect, which nobody shall send any more but some might.
  return isReport(type) || type === 4 || type === 5;
}

/** Whether messages of this type tell a sender what became of its packet: the errors worth bringing back to it. */
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

/** Gives the echo message `view[start, end)`, which may be cut off, another identifier and mends its checksum. */
export function replaceEchoIdentifier(view: DataView, start: number, end: number, identifier: number): void {
  replaceUint16(view, start + At.identifier, identifier, start + At.checksum);
  mendZeros(view, start, end);
}

/**
 * Turns the echo request `view[start, end)` into its reply: type 0, same identifier, sequence number and data, and
 * the checksum mended for the one word that changed (RFC 792 p. 14, RFC 1624).
 */
export function turnIntoEchoReply(view: DataView, start: number, end: number): void {
  replaceUint16(view, start + At.type, IcmpType.echoReply << 8, start + At.checksum);
  mendZeros(view, start, end);
}

/**
 * Mending a checksum takes for granted that one of the words it covers is not zero (RFC 1624 §3). In an echo reply
 * none needs to be, and only then does the checksum come out as the wrong one of the two zeros.
 */
function mendZeros(view: DataView, start: number, end: number): void {
  for (let at = start; at < end; at++) if (view.getUint8(at) !== 0) return;
  view.setUint16(start + At.checksum, 0xffff);
}

/** The fields of an echo request that its sender chooses. */
export interface EchoRequestFields {
  /** The sender. */
  readonly source: IpAddress;
  /** Who shall answer. */
  readonly destination: IpAddress;
  /** Tells one `ping` from another. */
  readonly identifier: number;
  /** Tells one request from the next. */
  readonly sequence: number;
  /** What comes back in the reply; nothing unless given. */
  readonly data?: Uint8Array;
  /** 64 unless given. */
  readonly ttl?: number;
}

/**
 * A whole IPv4 packet with an echo request, as `ping` sends it.
 *
 * @throws {RangeError} where the data is too long for a packet: 65,507 bytes are the most
 */
export function echoRequest(fields: EchoRequestFields): Uint8Array<ArrayBuffer> {
  const { source, destination, identifier, sequence, data = new Uint8Array(), ttl = 64 } = fields;
  const packet = new Uint8Array(IPV4_HEADER + ICMP_HEADER + data.length);
  if (packet.length > MAX_PACKET) throw new RangeError(`no packet holds ${data.length} bytes of data`);
  const view = new DataView(packet.buffer);
  packet.set(data, IPV4_HEADER + ICMP_HEADER);
  view.setUint8(IPV4_HEADER + At.type, IcmpType.echoRequest);
  view.setUint16(IPV4_HEADER + At.identifier, identifier);
  view.setUint16(IPV4_HEADER + At.sequence, sequence);
  view.setUint16(IPV4_HEADER + At.checksum, checksum(view, IPV4_HEADER, packet.length));
  writeIpv4Header(view, 0, packet.length, {
    typeOfService: 0,
    identification: sequence,
    dontFragment: false,
    ttl,
    protocol: Protocol.icmp,
    source,
    destination,
  });
  return packet;
}
