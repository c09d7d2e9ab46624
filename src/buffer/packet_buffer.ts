/**
 * A packet buffer: storage made once and used again for every packet, with headroom in front so that a cell
 * header goes on without copying (the idea of an skb).
 *
 * ```
 *   0          start                      end          capacity
 *   | headroom | packet, or cell + packet | free       |
 * ```
 *
 * @module
 */

/** Bytes kept free in front of a packet: room for every header that is ever prepended. */
export const HEADROOM = 128;

/** The longest IPv4 packet, in bytes: its length field has 16 bits (RFC 791 §3.1). */
export const MAX_PACKET = 65_535;

/** Behind the headroom, the bytes among which a packet usually begins: after the headers that were taken off. */
const USUAL_STARTS = 64;

/** A buffer for one packet at a time. The packet lies in `bytes[start, end)`. */
export class PacketBuffer {
  /** The whole storage. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same storage for fields of several bytes. */
  readonly view: DataView<ArrayBuffer>;
  /** Offset of the packet's first byte. */
  start: number = HEADROOM;
  /** Offset after the packet's last byte. */
  end: number = HEADROOM;

  readonly #tails: Uint8Array<ArrayBuffer>[] = [];

  /**
   * An empty buffer.
   *
   * @param capacity bytes of packet that it can hold behind the headroom
   */
  constructor(capacity: number = MAX_PACKET) {
    const storage = new ArrayBuffer(HEADROOM + capacity);
    this.bytes = new Uint8Array(storage);
    this.view = new DataView(storage);
  }

  /** The packet's length in bytes. */
  get length(): number {
    return this.end - this.start;
  }

  /** Makes the buffer hold a packet of `length` bytes behind the headroom; its content is what lies there. */
  hold(length: number): void {
    this.start = HEADROOM;
    this.end = HEADROOM + length;
  }

  /** Copies a packet in. */
  load(packet: Uint8Array): void {
    this.bytes.set(packet, HEADROOM);
    this.hold(packet.length);
  }

  /** A copy of the packet that outlives the buffer's next use. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(this.start, this.end);
  }

  /**
   * The storage from `offset` on. System calls want an array that begins where the packet begins; as packets
   * begin at few places, an array for each of these is made once, so that the usual packet makes no garbage.
   */
  from(offset: number): Uint8Array<ArrayBuffer> {
    if (offset > HEADROOM + USUAL_STARTS) return this.bytes.subarray(offset);
    return this.#tails[offset] ??= this.bytes.subarray(offset);
  }
}
