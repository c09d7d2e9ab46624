/**
 * A link with latency, as between distant machines.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Link, Neighbour } from "./link.ts";
import { LinkAround } from "./link_around.ts";

/** Max datagrams under way. More are refused, as by a full queue of the kernel. */
const MAX_UNDER_WAY = 16_384;

/** A datagram under way. */
interface Delayed {
  readonly neighbour: Neighbour;
  readonly bytes: Uint8Array;
  /** The time in ms at which it leaves. */
  readonly due: number;
}

/** Wraps a link and delays every datagram sent by the same time, so nothing is reordered. */
export class DelayLink extends LinkAround {
  readonly #delay: number;
  readonly #now: () => number;
  readonly #copy = new PacketBuffer();
  /** Oldest first. Those before `#first` have left. */
  #underWay: Delayed[] = [];
  #first = 0;

  /**
   * Wraps `inner`.
   *
   * @param delay in ms
   * @param now returns the time in ms, by the clock of {@linkcode DelayLink.expire}
   */
  constructor(inner: Link, delay: number, now: () => number) {
    super(inner);
    this.#delay = delay;
    this.#now = now;
  }

  /** {@inheritDoc Link.send} */
  override send(neighbour: Neighbour, datagram: PacketBuffer): boolean {
    if (this.#underWay.length - this.#first >= MAX_UNDER_WAY) return false;
    this.#underWay.push({ neighbour, bytes: datagram.copy(), due: this.#now() + this.#delay });
    return true;
  }

  /** {@inheritDoc Link.deadline} */
  override get deadline(): number {
    return Math.min(this.#underWay[this.#first]?.due ?? Infinity, this.inner.deadline);
  }

  /** {@inheritDoc Link.expire} */
  override expire(now: number): void {
    for (; this.#first < this.#underWay.length; this.#first++) {
      const { neighbour, bytes, due } = this.#underWay[this.#first]!;
      if (due > now) break;
      this.#copy.load(bytes);
      this.inner.send(neighbour, this.#copy);
    }
    // Removing many at once is cheaper than one by one.
    if (this.#first > this.#underWay.length / 2) {
      this.#underWay = this.#underWay.slice(this.#first);
      this.#first = 0;
    }
    this.inner.expire(now);
  }
}
