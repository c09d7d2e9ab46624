/**
 * Replacing an address of a packet, and updating every checksum that covers it (RFC 1624).
 *
 * ```
 *   IPv4 header        its checksum covers both addresses
 *   TCP, UDP           so do theirs, by a pseudo header (RFC 9293 §3.1, RFC 768)
 *   ICMP               covers no address of its own packet, but an error quotes the packet it is about:
 *                      that one went the other way, so the address stands on its other side
 * ```
 *
 * @module
 */
import { replaceUint16, replaceUint32, updateChecksum32 } from "../buffer/checksum.ts";
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { addressBits, type IpAddress, readAddress } from "./address.ts";
import { ICMP_CHECKSUM, ICMP_HEADER, icmpType, isIcmpError } from "./icmp.ts";
import { findQuote } from "./icmp_error.ts";
import {
  ADDRESS_OFFSET,
  type AddressSide,
  IPV4_CHECKSUM,
  type Ipv4View,
  Protocol,
  quotedProtocol,
} from "./ipv4.ts";
import { TCP_CHECKSUM } from "./tcp.ts";
import { UDP_CHECKSUM } from "./udp.ts";

/**
 * What the checksum field of a TCP segment or UDP datagram holds: the checksum of the whole, or, where the network card
 * is to compute that, only the sum of the pseudo header, not complemented (VIRTIO_NET_HDR_F_NEEDS_CSUM).
 */
export type TransportChecksum = "whole" | "pseudo-header";

/** Offset of the checksum in the header of each protocol whose checksum covers a pseudo header. */
const CHECKSUM_OFFSET: Readonly<Record<number, number>> = {
  [Protocol.tcp]: TCP_CHECKSUM,
  [Protocol.udp]: UDP_CHECKSUM,
};

/**
 * Replaces an address of a packet, in place. If the packet is an ICMP error that quotes a packet from or to the old
 * address, replaces that address in the quote too.
 *
 * Later fragments have no transport header, so only their IPv4 header changes. What has been cut off a quote is not
 * updated.
 *
 * @param packet the packet that `ip` shows
 * @param side which address
 * @param to the new address
 */
export function replaceAddress(
  packet: PacketBuffer,
  ip: Ipv4View,
  side: AddressSide,
  to: IpAddress,
  checksum: TransportChecksum = "whole",
): void {
  const { view } = packet;
  const { start, payload, end, protocol } = ip;
  const from = ip[side];
  replaceInHeader(view, start, side, to);
  if (ip.fragmentOffset > 0) return;
  if (protocol === Protocol.icmp) return replaceInQuote(view, payload, end, side, from, to);
  const at = checksumAt(protocol, payload, end);
  if (at === undefined) return;
  const old = view.getUint16(at);
  view.setUint16(
    at,
    checksum === "whole"
      ? updateTransport(protocol, old, from, to)
      : ~updateChecksum32(~old & 0xffff, addressBits(from), addressBits(to)),
  );
}

function replaceInHeader(view: DataView, start: number, side: AddressSide, to: IpAddress): void {
  replaceUint32(view, start + ADDRESS_OFFSET[side], addressBits(to), start + IPV4_CHECKSUM);
}

/** Replaces an address in the packet that an ICMP error quotes, if the message `view[message, end)` is one. */
function replaceInQuote(
  view: DataView,
  message: number,
  end: number,
  side: AddressSide,
  from: IpAddress,
  to: IpAddress,
): void {
  if (end - message < ICMP_HEADER || !isIcmpError(icmpType(view, message))) return;
  const quote = findQuote(view, message, end);
  const other = side === "source" ? "destination" : "source";
  if (quote === undefined || readAddress(view, quote.header + ADDRESS_OFFSET[other]) !== from) return;
  // The quoted header's checksum balances its address, so the error's own checksum stays as it is.
  replaceInHeader(view, quote.header, other, to);
  const protocol = quotedProtocol(view, quote.header);
  const at = checksumAt(protocol, quote.payload, end);
  if (at === undefined) return;
  // Nothing balances the quoted transport checksum.
  replaceUint16(view, at, updateTransport(protocol, view.getUint16(at), from, to), message + ICMP_CHECKSUM);
}

/** Offset in the packet buffer of a transport checksum; undefined if there is none, or if it is cut off. */
function checksumAt(protocol: number, payload: number, end: number): number | undefined {
  const offset = CHECKSUM_OFFSET[protocol];
  return offset === undefined || payload + offset + 2 > end ? undefined : payload + offset;
}

/** The checksum of a TCP segment or UDP datagram after an address of its pseudo header has changed. */
function updateTransport(protocol: number, old: number, from: IpAddress, to: IpAddress): number {
  if (protocol !== Protocol.udp) return updateChecksum32(old, addressBits(from), addressBits(to));
  // RFC 768: 0 means that there is none, so a computed 0 is sent as all ones.
  return old === 0 ? 0 : updateChecksum32(old, addressBits(from), addressBits(to)) || 0xffff;
}
