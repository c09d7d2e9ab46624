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
import { addressBits, type Endpoint } from "./address.ts";
import { type Ipv4View, Protocol } from "./ipv4.ts";
import { PortAt, PortsView } from "./ports.ts";

/** Byte offsets in a UDP header, behind the ports. */
const At = { length: 4, checksum: 6 } as const;

/** Offset of the checksum in a UDP header. */
export const UDP_CHECKSUM: number = At.checksum;

/** Length of a UDP header, in bytes. */
export const UDP_HEADER = 8;

/** A view of a UDP datagram. One view serves any number of packets in turn. */
export class UdpView extends PortsView {
  /** Of a first fragment, the rest of the data is elsewhere. */
  protected override isComplete(view: DataView, { payload, end, isFragment }: Ipv4View): boolean {
    const here = end - payload;
    if (here < UDP_HEADER) return false;
    const length = view.getUint16(payload + At.length);
    return length >= UDP_HEADER && (length <= here || isFragment);
  }

  /** Length of header and data, in bytes. */
  get length(): number {
    return this.view.getUint16(this.start + At.length);
  }

  /** The checksum; 0 if the sender computed none. */
  get checksum(): number {
    return this.view.getUint16(this.start + At.checksum);
  }

  /** Offset in the packet buffer of the data's first byte. */
  get data(): number {
    return this.start + UDP_HEADER;
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
  view.setUint16(start + PortAt.source, from.port);
  view.setUint16(start + PortAt.destination, to.port);
  view.setUint16(start + At.length, end - start);
  view.setUint16(start + At.checksum, 0);
  const pseudoHeader = addressBits(from.address) + addressBits(to.address) + Protocol.udp + (end - start);
  // A computed 0 is sent as all ones, because 0 means "no checksum".
  view.setUint16(start + At.checksum, checksumOfSum(pseudoHeader + onesSum(view, start, end)) || 0xffff);
}
