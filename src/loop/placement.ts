/**
 * Where the packet threads of one network run: together or apart.
 *
 * ```
 *              many packets a turn
 *   ┌──────────┐ ─────────────────► ┌───────┐
 *   │ together │                    │ apart │
 *   └──────────┘ ◄───────────────── └───────┘
 *              one at a time, for a while
 * ```
 *
 * A packet that is alone on its way waits for nothing but the waking of the next thread, and that takes less on the same
 * processor than on another one, which may have to be woken itself. Many packets wait for each other: then each thread
 * had better have a processor of its own, and one that is woken does not push aside whoever is busy making its work.
 * See docs/adr/0011-threads-together-and-awake.md.
 *
 * @module
 */

/** Turns after which the load is looked at. */
const WINDOW = 64;

/** Packets a turn from which on there are many, and up to which there is one at a time. */
const MANY = 2;
const FEW = 1.5;

/** Milliseconds apart before the threads come together again: the first time, and at most, doubled each time they part soon. */
const FIRST_HOLD = 100;
const LONGEST_HOLD = 10_000;

/** Moves a thread. */
export interface Mover {
  /** To the processor that all threads of the network share. */
  gather(): void;
  /** To wherever the kernel likes, there to wait for its turn. */
  spread(): void;
}

/** The placement of one packet thread, which follows its load. */
export class Placement {
  readonly #mover: Mover;
  #isTogether = true;
  #turns = 0;
  #packets = 0;
  /** When the thread may come back, and how long it stays away the next time. */
  #until = 0;
  #hold = FIRST_HOLD;

  /** Gathers. */
  constructor(mover: Mover) {
    this.#mover = mover;
    mover.gather();
  }

  /** A turn of the loop is over that has moved so many packets. */
  turned(packets: number, now: number): void {
    this.#packets += packets;
    if (++this.#turns < WINDOW) return;
    const moved = this.#packets;
    this.#turns = this.#packets = 0;
    if (this.#isTogether && moved >= MANY * WINDOW) {
      // Back so soon: it was no rest.
      this.#hold = now - this.#until < this.#hold ? Math.min(2 * this.#hold, LONGEST_HOLD) : FIRST_HOLD;
      this.#isTogether = false;
      this.#until = now + this.#hold;
      this.#mover.spread();
    } else if (!this.#isTogether && now >= this.#until && moved <= FEW * WINDOW) {
      this.#isTogether = true;
      this.#until = now;
      this.#mover.gather();
    }
  }
}
