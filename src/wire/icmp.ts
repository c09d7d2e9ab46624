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
import { checksum, isIntact, updateChecksum } from "../bytes/checksum.ts";
import { IPV4_HEADER, Protocol, writeIpv4Header } from "./ipv4.ts";

/** Byte offsets in an ICMP message. */
const At = { type: 0, code: 1, checksum: 2, identifier: 4, sequence: 6, data: 8 } as const;

/** Bytes of an ICMP header. */
export const ICMP_HEADER = 8;

/** Message types (IANA "ICMP Type Numbers"). */
export const IcmpType = {
  /** The answer to an echo request. */
  echoReply: 0,
  /** What `ping` sends. */
  echoRequest: 8,
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
 * Turns the echo request at `start` into its reply: type 0, same identifier, sequence number and data, and the
 * checksum mended for the one word that changed (RFC 792 p. 14, RFC 1624).
 */
export function turnIntoEchoReply(view: DataView, start: number): void {
  const before = view.getUint16(start + At.type);
  const after = IcmpType.echoReply << 8;
  view.setUint16(start + At.type, after);
  view.setUint16(start + At.checksum, updateChecksum(view.getUint16(start + At.checksum), before, after));
}

/** The fields of an echo request that its sender chooses. Addresses are unsigned 32-bit numbers. */
export interface EchoRequestFields {
  /** The sender. */
  readonly source: number;
  /** Who shall answer. */
  readonly destination: number;
  /** Tells one `ping` from another. */
  readonly identifier: number;
  /** Tells one request from the next. */
  readonly sequence: number;
  /** What comes back in the reply; nothing unless given. */
  readonly data?: Uint8Array;
  /** 64 unless given. */
  readonly ttl?: number;
}

/** A whole IPv4 packet with an echo request, as `ping` sends it. */
export function echoRequest(fields: EchoRequestFields): Uint8Array<ArrayBuffer> {
  const { source, destination, identifier, sequence, data = new Uint8Array(), ttl = 64 } = fields;
  const packet = new Uint8Array(IPV4_HEADER + ICMP_HEADER + data.length);
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
