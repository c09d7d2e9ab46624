/**
 * When the next packet of a source is to be expected: a voice, a game or a `ping` sends one at even intervals.
 *
 * ```
 *   packet                        packet                           packet?
 *     │◄───────── interval ─────────►│◄───────── interval ─────────►│
 *     ●──────────────────────────────●──────────────────────────────●──────► time
 *                                                            ├──────┴──────┤
 *                                                           from         until
 * ```
 *
 * @module
 */

/** Milliseconds by which a packet may come too early or too late. To get a processor out of its sleep takes half of that. */
const MARGIN = 0.2;

/** Milliseconds by which one interval may differ from the one before: half of that is what the clock of a `ping` does. */
const EVEN = 0.1;

/**
 * Milliseconds of an interval. In a shorter one, to be awake for a margin's time would take more than a twentieth of it; after
 * a longer one, hardly anybody is so exact.
 */
const SHORTEST = 20 * MARGIN;
const LONGEST = 100;

/** Milliseconds of silence after which a packet is a beat: one that comes sooner belongs to those before it. */
const SILENCE = 1;

/** Beats that are not waited for after one that did not come. */
const REST = 10;

/** The rhythm of one source, if it has one. Times are in ms. */
export class Rhythm {
  #last = -Infinity;
  #lastBeat = -Infinity;
  #interval = 0;
  #expected = Infinity;
  #rest = 0;

  /** A packet has come. */
  heard(now: number): void {
    const silence = now - this.#last;
    this.#last = now;
    if (silence < SILENCE) return;
    const interval = now - this.#lastBeat;
    const isEven = Math.abs(interval - this.#interval) <= EVEN && interval >= SHORTEST && interval <= LONGEST;
    this.#lastBeat = now;
    this.#interval = interval;
    if (this.#rest > 0) this.#rest--;
    this.#expected = isEven && this.#rest === 0 ? now + interval : Infinity;
  }

  /** The packet that was expected has not come. */
  missed(): void {
    this.#expected = Infinity;
    this.#rest = REST;
  }

  /** From when on to be awake for the next packet; Infinity where none is expected. */
  get from(): number {
    return this.#expected - MARGIN;
  }

  /** Until when. */
  get until(): number {
    return this.#expected + MARGIN;
  }
}
