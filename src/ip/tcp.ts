/**
 * TCP segments (RFC 9293 §3.1).
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-------------------------------+-------------------------------+
 * |          Source Port          |       Destination Port        |
 * +-------------------------------+-------------------------------+
 * |                        Sequence Number                        |
 * +---------------------------------------------------------------+
 * |                    Acknowledgment Number                      |
 * +-------+-------+---------------+-------------------------------+
 * |Offset | Resrvd|     Flags     |            Window             |
 * +-------+-------+---------------+-------------------------------+
 * |           Checksum            |         Urgent Pointer        |
 * +-------------------------------+-------------------------------+
 * |                  Options, if Offset > 5 …                     |
 * ```
 *
 * @module
 */
import type { Ipv4View } from "./ipv4.ts";
import { PortsView } from "./ports.ts";

/** Byte offsets in a TCP header, behind the ports. */
const At = {
  sequence: 4,
  acknowledgment: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
} as const;

/** Offset of the checksum in a TCP header. */
export const TCP_CHECKSUM: number = At.checksum;

/** Length of a header without options, in bytes. */
const TCP_HEADER = 20;

/** Bits of {@linkcode TcpView.flags}. */
export const TcpFlag = {
  /** The sender has no more data. */
  fin: 0x01,
  /** Opens a connection. */
  syn: 0x02,
  /** Ends a connection at once. */
  rst: 0x04,
  /** {@linkcode TcpView.acknowledgment} is valid. */
  ack: 0x10,
} as const;

/** A view of a TCP segment. One view serves any number of packets in turn. */
export class TcpView extends PortsView {
  /** A first fragment without the whole header is an attack on filters (RFC 1858 §3). */
  protected override isComplete(view: DataView, { payload, end }: Ipv4View): boolean {
    const here = end - payload;
    if (here < TCP_HEADER) return false;
    const header = headerLength(view, payload);
    return header >= TCP_HEADER && header <= here;
  }

  /** The sequence number of the first byte of data, or of the SYN. */
  get sequence(): number {
    return this.view.getUint32(this.start + At.sequence);
  }

  /** The next sequence number that the sender expects. */
  get acknowledgment(): number {
    return this.view.getUint32(this.start + At.acknowledgment);
  }

  /** See {@linkcode TcpFlag}. */
  get flags(): number {
    return this.view.getUint8(this.start + At.flags);
  }

  /** The receive window, not yet scaled (RFC 7323 §2). */
  get window(): number {
    return this.view.getUint16(this.start + At.window);
  }

  /** The checksum. */
  get checksum(): number {
    return this.view.getUint16(this.start + At.checksum);
  }

  /** Offset in the packet buffer of the data's first byte. */
  get data(): number {
    return this.start + headerLength(this.view, this.start);
  }
}

/** Length of the header at `start` with its options, in bytes. */
function headerLength(view: DataView, start: number): number {
  return (view.getUint8(start + At.dataOffset) >>> 4) * 4;
}
