/**
 * A cell in its UDP datagram, as an IPv4 packet for a capture file. So Wireshark shows a data link
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
 * The headers are made up, because the packet thread never sees the kernel's own.
 *
 * @module
 */
import { MAX_PACKET, PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Endpoint } from "../ip/address.ts";
import { IPV4_HEADER, ipv4Packet, Ipv4View, Protocol } from "../ip/ipv4.ts";
import { UDP_HEADER, UdpView, writeUdpHeader } from "../ip/udp.ts";

/** Max payload in bytes: the longest packet − IPv4 header − UDP header. */
export const MAX_UDP_PAYLOAD: number = MAX_PACKET - IPV4_HEADER - UDP_HEADER;

/**
 * An IPv4 packet with a UDP datagram, both with valid checksums.
 *
 * @param payload the cell, which is copied
 * @throws {RangeError} if the payload is longer than {@linkcode MAX_UDP_PAYLOAD}
 */
export function udpFrame(from: Endpoint, to: Endpoint, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  if (payload.length > MAX_UDP_PAYLOAD) {
    throw new RangeError(`cannot put ${payload.length} bytes into a UDP datagram`);
  }
  const datagram = new Uint8Array(UDP_HEADER + payload.length);
  datagram.set(payload, UDP_HEADER);
  writeUdpHeader(new DataView(datagram.buffer), 0, datagram.length, from, to);
  const { udp: protocol } = Protocol;
  const addresses = { source: from.address, destination: to.address };
  return ipv4Packet(datagram, { dontFragment: true, protocol, ...addresses });
}

/** A datagram of {@linkcode udpFrame}. */
interface UdpDatagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** The cell. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Returns the datagram in an IPv4 packet; undefined if there is none, or only a part. */
export function readUdpFrame(packet: Uint8Array): UdpDatagram | undefined {
  const buffer = new PacketBuffer(packet.length);
  buffer.load(packet);
  const ip = new Ipv4View();
  if (ip.wrap(buffer) !== undefined || ip.protocol !== Protocol.udp || ip.isFragment) return undefined;
  const udp = new UdpView();
  if (udp.wrap(buffer, ip) !== undefined || udp.length !== ip.end - ip.payload) return undefined;
  return {
    from: { address: ip.source, port: udp.sourcePort },
    to: { address: ip.destination, port: udp.destinationPort },
    payload: buffer.bytes.slice(udp.data, ip.end),
  };
}
