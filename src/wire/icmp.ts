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
import { isIntact, updateChecksum } from "../bytes/checksum.ts";

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
