/**
 * Where the packet threads of a network run: wherever the kernel puts them, together, or apart.
 *
 * ```
 *             traffic                many packets a turn
 *   ┌──────┐ ───────────► ┌──────────┐ ─────────► ┌───────┐
 *   │ free │              │ together │            │ apart │
 *   └──────┘ ◄─────────── └──────────┘ ◄───────── └───────┘
 *             packets are rare       one packet at a time, after the hold
 * ```
 *
 * A single packet waits only for the next thread to wake, which is faster on the same processor
 * than on another that may sleep. Under load, packets wait for each other, so each thread needs its
 * own processor. A woken thread then does not interrupt the one that produces its packets. If
 * packets are rare, every processor sleeps but the one that the packet arrives on, and only the
 * kernel knows which one that is. A sudden load moves a thread from free to apart directly, and
 * back. See docs/adr/0011-threads-together-and-awake.md.
 *
 * @module
 */

import { PLACEMENT } from "./scheduling.ts";

/** Moves a thread between processors. */
interface Mover {
  /** To any processor, as the kernel decides. */
  free(): void;
  /** To the processor that all threads of the network share. */
  gather(): void;
  /** To any processor, without interrupting a busy thread there. */
  spread(): void;
}

/** The placement of one packet thread, which follows its load. It starts free. */
export class Placement {
  readonly #mover: Mover;
  #place: "free" | "together" | "apart" = "free";
  #turns = 0;
  #packets = 0;
  /** Turns that moved packets, and since when they are counted. */
  #moving = 0;
  #since = 0;
  /** Until when the thread stays apart, and for how long next time. */
  #until = 0;
  #hold: number = PLACEMENT.firstHold;

  constructor(mover: Mover) {
    this.#mover = mover;
  }

  /** A turn of the loop has ended, which moved this many packets. */
  turned(packets: number, now: number): void {
    if (packets > 0) this.#moving++;
    if (now - this.#since >= PLACEMENT.pace) this.#lookAtPace(now);
    this.#packets += packets;
    if (++this.#turns === PLACEMENT.window) this.#lookAtLoad(now);
  }

  /** Decides between free and together. */
  #lookAtPace(now: number): void {
    const isLull = this.#moving <= PLACEMENT.lull;
    this.#moving = 0;
    this.#since = now;
    if (isLull && this.#place !== "free" && now >= this.#until) this.#settle("free", now);
    else if (!isLull && this.#place === "free") this.#settle("together", now);
  }

  /** Decides between together and apart. */
  #lookAtLoad(now: number): void {
    const moved = this.#packets;
    this.#turns = this.#packets = 0;
    if (this.#place !== "apart" && moved >= PLACEMENT.many * PLACEMENT.window) {
      // The load came back soon, so the time together was too short to be worth it.
      this.#hold = now - this.#until < this.#hold
        ? Math.min(2 * this.#hold, PLACEMENT.maxHold)
        : PLACEMENT.firstHold;
      this.#place = "apart";
      this.#until = now + this.#hold;
      this.#mover.spread();
    } else if (this.#place === "apart" && now >= this.#until && moved <= PLACEMENT.few * PLACEMENT.window) {
      this.#settle("together", now);
    }
  }

  /** Moves the thread to a place other than apart. */
  #settle(place: "free" | "together", now: number): void {
    if (this.#place === "apart") this.#until = now;
    this.#place = place;
    if (place === "free") this.#mover.free();
    else this.#mover.gather();
  }
}
