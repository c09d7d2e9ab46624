/**
 * ICMP errors: saying what became of a packet, and reading which packet others talk about.
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------+---------------+-------------------------------+
 * |     Type      |     Code      |           Checksum            |
 * +---------------+---------------+-------------------------------+
 * |            Unused             |  Next-hop MTU (RFC 1191 §4)   |
 * +-------------------------------+-------------------------------+
 * |  IPv4 header and the first bytes of the packet it is about …  |
 * ```
 *
 * @module
 */
import { checksum } from "../buffer/checksum.ts";
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { type IpAddress, isHostAddress } from "./address.ts";
import { ICMP_HEADER, icmpType, isIcmpError } from "./icmp.ts";
import {
  IPV4_HEADER,
  type Ipv4View,
  Protocol,
  quotedSource,
  quotesLaterFragment,
  replaceDestination,
  replaceSource,
  writeIpv4Header,
} from "./ipv4.ts";

/** Byte offsets in an ICMP error. */
const At = { type: 0, code: 1, checksum: 2, mtu: 6, quote: 8 } as const;

/** Bytes of the longest error: every host takes a packet of this length (RFC 1812 §4.3.2.3, RFC 791 §3.2). */
export const LONGEST_ERROR = 576;

/** The TTL of the errors we originate. */
const TTL = 64;

/** What an error says. */
export interface IcmpError {
  /** See `IcmpType`. */
  readonly type: number;
  /** Its meaning depends on the type. */
  readonly code: number;
  /** Bytes of the longest packet that the next link takes, where that is the matter. */
  readonly mtu?: number;
}

/**
 * Whether a packet may be answered with an error: not another error, not a fragment but the first, and only where
 * there is one host to tell (RFC 1122 §3.2.2).
 *
 * @param packet holds the packet that `ip` shows
 */
export function mayCauseError(packet: PacketBuffer, ip: Ipv4View): boolean {
  if (ip.fragmentOffset !== 0 || !isHostAddress(ip.source) || !isHostAddress(ip.destination)) return false;
  if (ip.protocol !== Protocol.icmp) return true;
  return ip.end > ip.payload && !isIcmpError(icmpType(packet.view, ip.payload));
}

/**
 * Writes a whole packet with an error about another one.
 *
 * @param into is filled
 * @param error what to say
 * @param about holds the packet that `ip` shows, which {@linkcode mayCauseError}
 * @param source who says it
 * @param longest bytes that the error may have; the quote ends there
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
  into.bytes.set(about.bytes.subarray(ip.start, ip.start + quoted), message + At.quote);
  view.setUint8(message + At.type, error.type);
  view.setUint8(message + At.code, error.code);
  view.setUint16(message + At.checksum, 0);
  view.setUint32(message + At.mtu - 2, error.mtu ?? 0);
  view.setUint16(message + At.checksum, checksum(view, message, end));
  writeIpv4Header(view, start, end, {
    // Errors about other packets are routing's own traffic (RFC 1812 §4.3.2.5).
    typeOfService: 0xc0,
    identification: 0,
    dontFragment: true,
    ttl: TTL,
    protocol: Protocol.icmp,
    source,
    destination: ip.source,
  });
}

/** Where the packet that an error quotes stands in the error's buffer. */
export interface Quote {
  /** Offset of the quoted IPv4 header. */
  readonly header: number;
  /** Offset of what follows it, of which at least 8 bytes are there. */
  readonly payload: number;
}

/**
 * Finds the packet that an error quotes. Its checksums are not looked at: the routers it came through may have
 * changed it.
 *
 * @param message offset of the checked ICMP message
 * @param end offset after it
 * @returns undefined where no IPv4 packet with the first 8 bytes of its payload is quoted; of a later fragment
 * nobody should speak (RFC 1122 §3.2.2), and what it carries is not the header that it would be taken for
 */
export function findQuote(view: DataView, message: number, end: number): Quote | undefined {
  const header = message + At.quote;
  if (end - header < IPV4_HEADER + 8 || view.getUint8(header) >>> 4 !== 4) return undefined;
  const payload = header + (view.getUint8(header) & 0x0f) * 4;
  if (payload < header + IPV4_HEADER || end - payload < 8 || quotesLaterFragment(view, header)) {
    return undefined;
  }
  return { header, payload };
}

/**
 * Brings an answer to somebody who has sent under another's address: its destination, and where it is an error that
 * quotes what that other seemed to have sent, the source in the quote.
 *
 * @param packet holds the packet that `ip` shows
 */
export function redirectAnswer(packet: PacketBuffer, ip: Ipv4View, to: IpAddress): void {
  const { view } = packet;
  const { destination, payload, end } = ip;
  if (ip.protocol === Protocol.icmp && ip.fragmentOffset === 0 && isIcmpError(icmpType(view, payload))) {
    const quote = findQuote(view, payload, end);
    // The change mends the quoted header's own checksum, so the sum of the whole, and with it the error's checksum, stays.
    if (quote !== undefined && quotedSource(view, quote.header) === destination) {
      replaceSource(view, quote.header, to);
    }
  }
  replaceDestination(view, ip.start, to);
}
