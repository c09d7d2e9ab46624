/**
 * A cell in the UDP datagram that it travels in, as an IPv4 packet for a capture file: so Wireshark shows a data link
 * as datagrams between two parties with addresses and names.
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------------------------------------------------------+
 * |  IPv4 header without options, 20 bytes …                      |
 * +-------------------------------+-------------------------------+
 * |          Source Port          |       Destination Port        |
 * +-------------------------------+-------------------------------+
 * |    Length, header and data    |           Checksum            |
 * +-------------------------------+-------------------------------+
 * |  Cell …                                                       |
 * ```
 *
 * The packet is made up: the kernel's own, with its identification and TTL, is never seen by the packet thread.
 *
 * @module
 */
import { checksum } from "../buffer/checksum.ts";
import { MAX_PACKET, PacketBuffer } from "../buffer/packet_buffer.ts";
import { type Endpoint, writeAddress } from "../ip/address.ts";
import { IPV4_HEADER, Ipv4View, Protocol, writeIpv4Header } from "../ip/ipv4.ts";

/** Byte offsets in a UDP header (RFC 768). */
const At = { source: 0, destination: 2, length: 4, checksum: 6 } as const;

/** Bytes of a UDP header. */
const UDP_HEADER = 8;

/** Byte offsets in the pseudo header that the checksum covers too (RFC 768). */
const Pseudo = { source: 0, destination: 4, protocol: 8, length: 10 } as const;

/** Bytes of the pseudo header. */
const PSEUDO_HEADER = 12;

/** Bytes of the longest payload: the longest packet − IPv4 header − UDP header. */
export const MAX_UDP_PAYLOAD: number = MAX_PACKET - IPV4_HEADER - UDP_HEADER;

/**
 * An IPv4 packet with a UDP datagram, both with valid checksums.
 *
 * @param payload the cell, which is copied
 * @throws {RangeError} where the payload is longer than {@linkcode MAX_UDP_PAYLOAD}
 */
export function udpFrame(from: Endpoint, to: Endpoint, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  if (payload.length > MAX_UDP_PAYLOAD) {
    throw new RangeError(`cannot put ${payload.length} bytes into a UDP datagram`);
  }
  const udpLength = UDP_HEADER + payload.length;
  const bytes = new Uint8Array(IPV4_HEADER + udpLength);
  const view = new DataView(bytes.buffer);
  const udp = IPV4_HEADER;
  view.setUint16(udp + At.source, from.port);
  view.setUint16(udp + At.destination, to.port);
  view.setUint16(udp + At.length, udpLength);
  bytes.set(payload, udp + UDP_HEADER);

  // The pseudo header stands right before the datagram for as long as it is summed; the IPv4 header takes its place.
  const pseudo = udp - PSEUDO_HEADER;
  writeAddress(view, pseudo + Pseudo.source, from.address);
  writeAddress(view, pseudo + Pseudo.destination, to.address);
  view.setUint16(pseudo + Pseudo.protocol, Protocol.udp);
  view.setUint16(pseudo + Pseudo.length, udpLength);
  // Zero would say that there is no checksum, and its other form in one's complement is all ones (RFC 768).
  view.setUint16(udp + At.checksum, checksum(view, pseudo, bytes.length) || 0xffff);

  writeIpv4Header(view, 0, bytes.length, {
    typeOfService: 0,
    // Without a meaning in a packet that is never fragmented (RFC 6864 §4.1).
    identification: 0,
    dontFragment: true,
    ttl: 64,
    protocol: Protocol.udp,
    source: from.address,
    destination: to.address,
  });
  return bytes;
}

/** A datagram as {@linkcode udpFrame} packs it. */
interface UdpDatagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** The cell. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** The datagram in an IPv4 packet; undefined where there is none, or less than all of it. */
export function readUdpFrame(packet: Uint8Array): UdpDatagram | undefined {
  const buffer = new PacketBuffer(packet.length);
  buffer.load(packet);
  const ip = new Ipv4View();
  if (ip.wrap(buffer) !== undefined || ip.protocol !== Protocol.udp || ip.isFragment) return undefined;
  const { payload: udp, end } = ip;
  if (end - udp < UDP_HEADER || buffer.view.getUint16(udp + At.length) !== end - udp) return undefined;
  return {
    from: { address: ip.source, port: buffer.view.getUint16(udp + At.source) },
    to: { address: ip.destination, port: buffer.view.getUint16(udp + At.destination) },
    payload: buffer.bytes.slice(udp + UDP_HEADER, end),
  };
}
