/**
 * ICMP errors: writing one about a packet, and finding the packet that one is about.
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------+---------------+-------------------------------+
 * |     Type      |     Code      |           Checksum            |
 * +---------------+---------------+-------------------------------+
 * |            Unused             |  Next-hop MTU (RFC 1191 §4)   |
 * +-------------------------------+-------------------------------+
 * |  Quote: IPv4 header and first bytes of the packet …           |
 * ```
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { type IpAddress, isHostAddress } from "./address.ts";
import { ICMP_HEADER, icmpType, isIcmpError, writeIcmpHeader } from "./icmp.ts";
import { IPV4_HEADER, type Ipv4View, Protocol, quotesLaterFragment, writeIpv4Header } from "./ipv4.ts";

/** Max length of an error, in bytes: every host accepts it (RFC 1812 §4.3.2.3, RFC 791 §3.2). */
export const LONGEST_ERROR = 576;

/** The contents of an error, without its quote. */
export interface IcmpError {
  /** See `IcmpType`. */
  readonly type: number;
  /** Depends on the type; see `Unreachable`. */
  readonly code: number;
  /** MTU of the next link, in bytes, if the packet was too long for it. */
  readonly mtu?: number;
}

/**
 * Whether an error about a packet is allowed (RFC 1122 §3.2.2): the packet is not an error itself
 * and not a later fragment, and both its addresses are those of single hosts.
 *
 * @param packet the packet that `ip` shows
 */
export function mayCauseError(packet: PacketBuffer, ip: Ipv4View): boolean {
  if (ip.fragmentOffset !== 0 || !isHostAddress(ip.source) || !isHostAddress(ip.destination)) return false;
  if (ip.protocol !== Protocol.icmp) return true;
  return ip.end > ip.payload && !isIcmpError(icmpType(packet.view, ip.payload));
}

/**
 * Writes an IPv4 packet with an error about another packet.
 *
 * @param into receives the error
 * @param about the packet that `ip` shows; it passed {@linkcode mayCauseError}
 * @param source address that sends the error
 * @param longest max length of the error, in bytes; the quote is cut there
 */
export function writeIcmpError(
  into: PacketBuffer,
  error: IcmpError,
  about: PacketBuffer,
  ip: Ipv4View,
  source: IpAddress,
  longest: number = LONGEST_ERROR,
): void {
  const quoted = Math.min(ip.totalLength, longest - IPV4_HEADER - ICMP_HEADER);
  into.hold(IPV4_HEADER + ICMP_HEADER + quoted);
  const { view, start, end } = into;
  const message = start + IPV4_HEADER;
  into.bytes.set(about.bytes.subarray(ip.start, ip.start + quoted), message + ICMP_HEADER);
  writeIcmpHeader(view, message, end, error.type, error.code, error.mtu ?? 0);
  writeIpv4Header(view, start, end, {
    // "Internetwork control": RFC 1812 §4.3.2.5 wants it for errors.
    typeOfService: 0xc0,
    dontFragment: true,
    protocol: Protocol.icmp,
    source,
    destination: ip.source,
  });
}

/** The position of a quoted packet in the error's buffer. */
interface Quote {
  /** Offset of the quoted IPv4 header. */
  readonly header: number;
  /** Offset of the quoted payload, of which at least 8 bytes are there. */
  readonly payload: number;
}

/**
 * Finds the packet that an error quotes. Ignores its checksums, because routers on the way may have
 * changed the packet.
 *
 * @param message offset of the checked ICMP message
 * @param end offset after the message
 * @returns undefined unless an IPv4 header and 8 bytes of payload are quoted. A quoted later
 * fragment counts as none: its payload has no transport header, and RFC 1122 §3.2.2 forbids such
 * errors
 */
export function findQuote(view: DataView, message: number, end: number): Quote | undefined {
  const header = message + ICMP_HEADER;
  if (end - header < IPV4_HEADER + 8 || view.getUint8(header) >>> 4 !== 4) return undefined;
  const payload = header + (view.getUint8(header) & 0x0f) * 4;
  if (payload < header + IPV4_HEADER || end - payload < 8 || quotesLaterFragment(view, header)) {
    return undefined;
  }
  return { header, payload };
}
