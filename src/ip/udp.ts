/**
 * UDP datagrams (RFC 768).
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-------------------------------+-------------------------------+
 * |          Source Port          |       Destination Port        |
 * +-------------------------------+-------------------------------+
 * |    Length, header and data    |           Checksum            |
 * +-------------------------------+-------------------------------+
 * |  Data …                                                       |
 * ```
 *
 * @module
 */
import { checksumOfSum, onesSum } from "../buffer/checksum.ts";
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { addressBits, type Endpoint } from "./address.ts";
import { type Ipv4View, Protocol } from "./ipv4.ts";

/** Byte offsets in a UDP header. */
const At = { sourcePort: 0, destinationPort: 2, length: 4, checksum: 6 } as const;

/** Offset of the checksum in a UDP header. */
export const UDP_CHECKSUM: number = At.checksum;

/** Length of a UDP header, in bytes. */
export const UDP_HEADER = 8;

/**
 * A view of a UDP datagram. {@linkcode UdpView.wrap} checks the datagram once; the getters trust it
 * from then on. One view serves any number of packets in turn.
 */
export class UdpView {
  #view: DataView = new DataView(new ArrayBuffer(UDP_HEADER));
  #start = 0;

  /**
   * Shows the datagram that `packet` carries. Leaves its checksum for the receiving host to verify.
   *
   * @param packet a whole packet or a first fragment, shown by `ip`; its protocol is UDP
   * @returns a fault if the header or a whole packet's data is incomplete; else undefined
   */
  wrap(packet: PacketBuffer, ip: Ipv4View): "bad-length" | undefined {
    const here = ip.end - ip.payload;
    if (here < UDP_HEADER) return "bad-length";
    const length = packet.view.getUint16(ip.payload + At.length);
    if (length < UDP_HEADER || (length > here && !ip.isFragment)) return "bad-length";
    this.#view = packet.view;
    this.#start = ip.payload;
    return undefined;
  }

  /** The source port; 0 if the sender expects no reply. */
  get sourcePort(): number {
    return this.#view.getUint16(this.#start + At.sourcePort);
  }

  /** The destination port. */
  get destinationPort(): number {
    return this.#view.getUint16(this.#start + At.destinationPort);
  }

  /** Length of header and data, in bytes. */
  get length(): number {
    return this.#view.getUint16(this.#start + At.length);
  }

  /** The checksum; 0 if the sender computed none. */
  get checksum(): number {
    return this.#view.getUint16(this.#start + At.checksum);
  }

  /** Offset in the packet buffer of the data's first byte. */
  get data(): number {
    return this.#start + UDP_HEADER;
  }
}

/** Writes the header of the datagram `view[start, end)` with its checksum. The data is in place. */
export function writeUdpHeader(
  view: DataView,
  start: number,
  end: number,
  from: Endpoint,
  to: Endpoint,
): void {
  view.setUint16(start + At.sourcePort, from.port);
  view.setUint16(start + At.destinationPort, to.port);
  view.setUint16(start + At.length, end - start);
  view.setUint16(start + At.checksum, 0);
  const pseudoHeader = addressBits(from.address) + addressBits(to.address) + Protocol.udp + (end - start);
  // A computed 0 is sent as all ones, because 0 means "no checksum".
  view.setUint16(start + At.checksum, checksumOfSum(pseudoHeader + onesSum(view, start, end)) || 0xffff);
}
