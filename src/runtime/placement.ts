/**
 * Where the packet threads of one network run: wherever the kernel likes, together or apart.
 *
 * ```
 *             not so few             many packets a turn
 *   ┌──────┐ ───────────► ┌──────────┐ ─────────► ┌───────┐
 *   │ free │              │ together │            │ apart │
 *   └──────┘ ◄─────────── └──────────┘ ◄───────── └───────┘
 *             now and then           one at a time, for a while
 * ```
 *
 * A packet that is alone on its way waits for nothing but the waking of the next thread, and that takes less on the same
 * processor than on another one, which may have to be woken itself. Many packets wait for each other: then each thread
 * had better have a processor of its own, and one that is woken does not push aside whoever is busy making its work.
 * Where packets come now and then all processors sleep but the one that the packet comes from, and only the kernel knows
 * which one that is. Where the load jumps, so does the thread: from free to apart, and back.
 * See docs/adr/0011-threads-together-and-awake.md.
 *
 * @module
 */

import { PLACEMENT } from "./scheduling.ts";

/** Moves a thread. */
export interface Mover {
  /** To wherever the kernel likes. */
  free(): void;
  /** To the processor that all threads of the network share. */
  gather(): void;
  /** To wherever the kernel likes, there to wait for its turn. */
  spread(): void;
}

/** The placement of one packet thread, which follows its load; at first it is free. */
export class Placement {
  readonly #mover: Mover;
  #place: "free" | "together" | "apart" = "free";
  #turns = 0;
  #packets = 0;
  /** Turns that have moved something, and since when they are counted. */
  #moving = 0;
  #since = 0;
  /** Until when the thread stays apart, and for how long it does the next time. */
  #until = 0;
  #hold: number = PLACEMENT.firstHold;

  constructor(mover: Mover) {
    this.#mover = mover;
  }

  /** A turn of the loop is over that has moved so many packets. */
  turned(packets: number, now: number): void {
    if (packets > 0) this.#moving++;
    if (now - this.#since >= PLACEMENT.pace) this.#lookAtPace(now);
    this.#packets += packets;
    if (++this.#turns === PLACEMENT.window) this.#lookAtLoad(now);
  }

  /** Whether packets come now and then. */
  #lookAtPace(now: number): void {
    const isLull = this.#moving <= PLACEMENT.lull;
    this.#moving = 0;
    this.#since = now;
    if (isLull && this.#place !== "free" && now >= this.#until) this.#settle("free", now);
    else if (!isLull && this.#place === "free") this.#settle("together", now);
  }

  /** Whether many come at once. */
  #lookAtLoad(now: number): void {
    const moved = this.#packets;
    this.#turns = this.#packets = 0;
    if (this.#place !== "apart" && moved >= PLACEMENT.many * PLACEMENT.window) {
      // Back so soon: it was no rest.
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

  /** Not apart, or no longer. */
  #settle(place: "free" | "together", now: number): void {
    if (this.#place === "apart") this.#until = now;
    this.#place = place;
    if (place === "free") this.#mover.free();
    else this.#mover.gather();
  }
}
