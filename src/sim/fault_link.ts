/**
 * A link that misbehaves on purpose, the same way every time it is given the same seed.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Link, Neighbour } from "../device/link.ts";

/** How often each fault strikes a datagram that is sent: probabilities, 0 to 1. */
export interface Faults {
  /** The datagram is lost. */
  readonly drop?: number;
  /** The datagram comes twice. */
  readonly duplicate?: number;
  /** The datagram is held back until the next one has gone, or {@linkcode FaultLink.release} is called. */
  readonly reorder?: number;
  /** One random bit is flipped. */
  readonly flip?: number;
}

/** A link around another one that drops, duplicates, reorders and damages what is sent over it. */
export class FaultLink implements Link {
  readonly #inner: Link;
  readonly #faults: Faults;
  readonly #random: () => number;
  readonly #copy: PacketBuffer = new PacketBuffer();
  #held: { neighbour: Neighbour; bytes: Uint8Array } | undefined;

  /**
   * A link that misbehaves.
   *
   * @param seed any integer; the same seed and traffic give the same faults
   */
  constructor(inner: Link, faults: Faults, seed: number) {
    this.#inner = inner;
    this.#faults = faults;
    this.#random = randomFrom(seed);
  }

  /** {@inheritDoc Link.receive} */
  receive(into: PacketBuffer): Neighbour {
    return this.#inner.receive(into);
  }

  /** {@inheritDoc Link.hasMore} */
  get hasMore(): boolean {
    return this.#inner.hasMore;
  }

  /** {@inheritDoc Link.cork} */
  cork(): void {
    this.#inner.cork();
  }

  /** {@inheritDoc Link.uncork} */
  uncork(): number {
    return this.#inner.uncork();
  }

  /** {@inheritDoc Link.deadline} */
  get deadline(): number {
    return this.#inner.deadline;
  }

  /** {@inheritDoc Link.expire} */
  expire(now: number): void {
    this.#inner.expire(now);
  }

  /** {@inheritDoc Link.send} */
  send(neighbour: Neighbour, datagram: PacketBuffer): boolean {
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

  /** Lets a datagram that is held back go: whether there was one. */
  release(): boolean {
    const held = this.#held;
    if (held === undefined) return false;
    this.#held = undefined;
    this.#pass(held.neighbour, held.bytes);
    return true;
  }

  #pass(neighbour: Neighbour, bytes: Uint8Array): void {
    this.#copy.load(bytes);
    this.#inner.send(neighbour, this.#copy);
  }

  #strikes(probability: number | undefined): boolean {
    return probability !== undefined && this.#random() < probability;
  }
}

/** Numbers in [0, 1) from a 32-bit state: a Weyl sequence through a finalizer of good avalanche. */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}
