/**
 * Replaces an address of a packet, and updates every checksum that covers it (RFC 1624):
 *
 * - The IPv4 header checksum covers both addresses.
 * - TCP and UDP checksums cover both, by a pseudo header (RFC 9293 §3.1, RFC 768).
 * - The ICMP checksum covers none. But an ICMP error quotes a packet that went the other way, so
 *   the address is on the other side of the quoted header.
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
 * The contents of a TCP or UDP checksum field: the whole checksum, or only the sum of the pseudo
 * header, not complemented. The latter leaves the rest to the network card
 * (VIRTIO_NET_HDR_F_NEEDS_CSUM).
 */
export type TransportChecksum = "whole" | "pseudo-header";

/** Offset of the checksum in the header of each protocol with a pseudo header. */
const CHECKSUM_OFFSET: Readonly<Record<number, number>> = {
  [Protocol.tcp]: TCP_CHECKSUM,
  [Protocol.udp]: UDP_CHECKSUM,
};

/**
 * Replaces an address of a packet in place. In an ICMP error, replaces it in the quoted packet too.
 *
 * A later fragment has no transport header, so only its IPv4 header changes. A checksum that is cut
 * off a quote is not updated.
 *
 * @param packet the packet that `ip` shows
 * @param side which address
 * @param to the new address
 * @param checksum what the checksum field of a TCP segment or UDP datagram holds
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
  const from = readAddress(view, start + ADDRESS_OFFSET[side]);
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

/** Replaces an address in the packet that `view[message, end)` quotes, if it is an ICMP error. */
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
  // The error's own checksum covers the quoted transport checksum, which nothing balances.
  replaceUint16(view, at, updateTransport(protocol, view.getUint16(at), from, to), message + ICMP_CHECKSUM);
}

/** Offset of a transport checksum in the packet buffer; undefined if it has none, or is cut off. */
function checksumAt(protocol: number, payload: number, end: number): number | undefined {
  const offset = CHECKSUM_OFFSET[protocol];
  return offset === undefined || payload + offset + 2 > end ? undefined : payload + offset;
}

/** Updates a TCP or UDP checksum for a changed address in the pseudo header. */
function updateTransport(protocol: number, old: number, from: IpAddress, to: IpAddress): number {
  if (protocol !== Protocol.udp) return updateChecksum32(old, addressBits(from), addressBits(to));
  // RFC 768: 0 means "no checksum", so a computed 0 is sent as all ones.
  return old === 0 ? 0 : updateChecksum32(old, addressBits(from), addressBits(to)) || 0xffff;
}
