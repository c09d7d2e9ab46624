/**
 * A link on which everything takes time, as between distant machines.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Link, Neighbour } from "./link.ts";

/** Datagrams that may be under way at a time: beyond, they are refused, as a full queue of the kernel's does. */
const MOST = 16_384;

/** A datagram under way. */
interface Delayed {
  readonly neighbour: Neighbour;
  readonly bytes: Uint8Array;
  /** When it goes on, in ms. */
  readonly due: number;
}

/** A link around another one that holds back what is sent over it, all for the same time, so that nothing is reordered. */
export class DelayLink implements Link {
  readonly #inner: Link;
  readonly #delay: number;
  readonly #now: () => number;
  readonly #copy = new PacketBuffer();
  /** Oldest first; those before `#first` have gone. */
  #underWay: Delayed[] = [];
  #first = 0;

  /**
   * A link that takes its time.
   *
   * @param delay in ms
   * @param now the time in ms, the same as {@linkcode DelayLink.expire} is given
   */
  constructor(inner: Link, delay: number, now: () => number) {
    this.#inner = inner;
    this.#delay = delay;
    this.#now = now;
  }

  /** {@inheritDoc Link.fd} */
  get fd(): number | undefined {
    return this.#inner.fd;
  }

  /** {@inheritDoc Link.receive} */
  receive(into: PacketBuffer): Neighbour {
    return this.#inner.receive(into);
  }

  /** {@inheritDoc Link.hasMore} */
  get hasMore(): boolean {
    return this.#inner.hasMore;
  }

  /** {@inheritDoc Link.send} */
  send(neighbour: Neighbour, datagram: PacketBuffer): boolean {
    if (this.#underWay.length - this.#first >= MOST) return false;
    this.#underWay.push({ neighbour, bytes: datagram.copy(), due: this.#now() + this.#delay });
    return true;
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
    return Math.min(this.#underWay[this.#first]?.due ?? Infinity, this.#inner.deadline);
  }

  /** {@inheritDoc Link.expire} */
  expire(now: number): void {
    for (; this.#first < this.#underWay.length; this.#first++) {
      const { neighbour, bytes, due } = this.#underWay[this.#first]!;
      if (due > now) break;
      this.#copy.load(bytes);
      this.#inner.send(neighbour, this.#copy);
    }
    // Moved up now and then, and not one by one.
    if (this.#first > this.#underWay.length / 2) {
      this.#underWay = this.#underWay.slice(this.#first);
      this.#first = 0;
    }
    this.#inner.expire(now);
  }
}
