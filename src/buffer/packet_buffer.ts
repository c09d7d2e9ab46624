/**
 * A packet buffer: storage that is allocated once and reused for every packet. Headers are
 * prepended without copying, because there is headroom in front, as in an skb.
 *
 * ```
 *   0          start                      end          capacity
 *   | headroom | packet, or cell + packet | free       |
 * ```
 *
 * @module
 */

/** Bytes kept free in front of a packet: enough for every header that is prepended. */
export const HEADROOM = 128;

/** Length of the longest IPv4 packet, in bytes: its length field has 16 bits (RFC 791 §3.1). */
export const MAX_PACKET = 65_535;

/** Range of common packet starts behind the headroom, in bytes: headers that were removed. */
const COMMON_STARTS = 64;

/** A buffer for one packet at a time. The packet is `bytes[start, end)`. */
export class PacketBuffer {
  /** The whole storage. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same storage, for fields of several bytes. */
  readonly view: DataView<ArrayBuffer>;
  /** Offset of the packet's first byte. */
  start: number = HEADROOM;
  /** Offset after the packet's last byte. */
  end: number = HEADROOM;

  readonly #tails: Uint8Array<ArrayBuffer>[] = [];

  /**
   * Creates an empty buffer.
   *
   * @param capacity max length of a packet behind the headroom, in bytes
   */
  constructor(capacity: number = MAX_PACKET) {
    const storage = new ArrayBuffer(HEADROOM + capacity);
    this.bytes = new Uint8Array(storage);
    this.view = new DataView(storage);
  }

  /** Length of the packet, in bytes. */
  get length(): number {
    return this.end - this.start;
  }

  /** Makes the buffer hold `length` bytes behind the headroom. Does not change the bytes there. */
  hold(length: number): void {
    this.start = HEADROOM;
    this.end = HEADROOM + length;
  }

  /** Copies a packet in. */
  load(packet: Uint8Array): void {
    this.bytes.set(packet, HEADROOM);
    this.hold(packet.length);
  }

  /** Returns a copy of the packet, which stays valid when the buffer is reused. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(this.start, this.end);
  }

  /**
   * The storage from `offset` on. System calls want an array that starts at the packet. Arrays for
   * common offsets are made once, so most packets allocate none.
   */
  from(offset: number): Uint8Array<ArrayBuffer> {
    if (offset > HEADROOM + COMMON_STARTS) return this.bytes.subarray(offset);
    return this.#tails[offset] ??= this.bytes.subarray(offset);
  }
}
