/**
 * A link that loses, doubles, reorders and damages datagrams, the same way for the same seed.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Link, Neighbour } from "../device/link.ts";
import { LinkAround } from "../device/link_around.ts";
import { seededRandom } from "./random.ts";

/** The probability, 0 to 1, that each fault strikes a datagram that is sent; 0 unless given. */
export interface Faults {
  /** The datagram is lost. */
  readonly drop?: number;
  /** The datagram arrives twice. */
  readonly duplicate?: number;
  /** The datagram waits until the next one has left, or until {@linkcode FaultLink.release}. */
  readonly reorder?: number;
  /** One random bit of the datagram is flipped. */
  readonly flip?: number;
}

/** A link around another one that applies faults to what is sent. It receives without faults. */
export class FaultLink extends LinkAround {
  readonly #faults: Faults;
  readonly #random: () => number;
  readonly #copy: PacketBuffer = new PacketBuffer();
  #held: { neighbour: Neighbour; bytes: Uint8Array } | undefined;

  /**
   * A link with faults.
   *
   * @param seed any integer. The same seed and traffic give the same faults.
   */
  constructor(inner: Link, faults: Faults, seed: number) {
    super(inner);
    this.#faults = faults;
    this.#random = seededRandom(seed);
  }

  /** {@inheritDoc Link.send} */
  override send(neighbour: Neighbour, datagram: PacketBuffer): boolean {
    if (this.#strikes(this.#faults.drop)) return true;
    const bytes = datagram.copy();
    if (this.#strikes(this.#faults.flip)) {
      const bit = Math.floor(this.#random() * bytes.length * 8);
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
    }
    if (this.#held === undefined && this.#strikes(this.#faults.reorder)) {
      this.#held = { neighbour, bytes };
      return true;
    }
    this.#pass(neighbour, bytes);
    if (this.#strikes(this.#faults.duplicate)) this.#pass(neighbour, bytes);
    this.release();
    return true;
  }

  /** Sends the datagram that is held back, if any, and tells whether there was one. */
  release(): boolean {
    const held = this.#held;
    if (held === undefined) return false;
    this.#held = undefined;
    this.#pass(held.neighbour, held.bytes);
    return true;
  }

  #pass(neighbour: Neighbour, bytes: Uint8Array): void {
    this.#copy.load(bytes);
    this.inner.send(neighbour, this.#copy);
  }

  #strikes(probability: number | undefined): boolean {
    return probability !== undefined && this.#random() < probability;
  }
}
