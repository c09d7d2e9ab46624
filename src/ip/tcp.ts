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
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Ipv4View } from "./ipv4.ts";

/** Byte offsets in a TCP header. */
const At = {
  sourcePort: 0,
  destinationPort: 2,
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

/**
 * A view of a TCP segment. {@linkcode TcpView.wrap} checks the segment once; the getters trust it
 * from then on. One view serves any number of packets in turn.
 */
export class TcpView {
  #view: DataView = new DataView(new ArrayBuffer(TCP_HEADER));
  #start = 0;

  /**
   * Shows the segment that `packet` carries. Leaves its checksum for the receiving host to verify.
   *
   * @param packet a whole packet or a first fragment, shown by `ip`; its protocol is TCP
   * @returns a fault if the header is not complete; else undefined. First fragments with less are
   * an attack on filters (RFC 1858 §3)
   */
  wrap(packet: PacketBuffer, ip: Ipv4View): "bad-length" | undefined {
    const here = ip.end - ip.payload;
    if (here < TCP_HEADER) return "bad-length";
    const header = headerLength(packet.view, ip.payload);
    if (header < TCP_HEADER || header > here) return "bad-length";
    this.#view = packet.view;
    this.#start = ip.payload;
    return undefined;
  }

  /** The source port. */
  get sourcePort(): number {
    return this.#view.getUint16(this.#start + At.sourcePort);
  }

  /** The destination port. */
  get destinationPort(): number {
    return this.#view.getUint16(this.#start + At.destinationPort);
  }

  /** The sequence number of the first byte of data, or of the SYN. */
  get sequence(): number {
    return this.#view.getUint32(this.#start + At.sequence);
  }

  /** The next sequence number that the sender expects. */
  get acknowledgment(): number {
    return this.#view.getUint32(this.#start + At.acknowledgment);
  }

  /** See {@linkcode TcpFlag}. */
  get flags(): number {
    return this.#view.getUint8(this.#start + At.flags);
  }

  /** The receive window, not yet scaled (RFC 7323 §2). */
  get window(): number {
    return this.#view.getUint16(this.#start + At.window);
  }

  /** The checksum. */
  get checksum(): number {
    return this.#view.getUint16(this.#start + At.checksum);
  }

  /** Offset in the packet buffer of the data's first byte. */
  get data(): number {
    return this.#start + headerLength(this.#view, this.#start);
  }
}

/** Length of the header at `start` with its options, in bytes. */
function headerLength(view: DataView, start: number): number {
  return (view.getUint8(start + At.dataOffset) >>> 4) * 4;
}
