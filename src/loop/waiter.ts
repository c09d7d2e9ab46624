/**
 * How a packet thread waits: mostly asleep, but awake where a packet is likely to come at once, for to get a processor out of
 * its sleep takes longer than a packet does. See docs/adr/0011-threads-together-and-awake.md and 0013-awake-on-the-beat.md.
 *
 * @module
 */
import { yieldCpu } from "../sys/affinity.ts";
import { monotonic } from "../sys/clock.ts";
import type { Poller } from "../sys/poll.ts";
import { Rhythm } from "./rhythm.ts";

/** Milliseconds away from the processor that are no short errand: a busy program takes whole time slices, about 3 ms. */
const LONG = 1;

/**
 * A processor is crowded where so many times in a row somebody else has wanted it for long; then nobody stays awake on it
 * for so many ms, for to give it away and get it back takes longer than a waking.
 */
const CROWDED = { times: 3, rest: 250 } as const;

/** Waits for the devices of one loop. */
export class Waiter {
  readonly #poller: Pick<Poller, "wait">;
  readonly #awake: number;
  readonly #now: () => number;
  readonly #giveWay: () => void;
  readonly #rhythms: readonly Rhythm[];
  /** Whether to stay awake for what follows, how often in a row that was disturbed, and until when to leave it. */
  #isExpectant = false;
  #disturbed = 0;
  #sleepyUntil = -Infinity;

  /**
   * @param poller what it waits for
   * @param sources how many sources the loop has
   * @param awake ms for which to stay awake after a packet of the first source; 0 for not at all
   * @param now tells the time in ms
   * @param giveWay lets others have the processor
   */
  constructor(
    poller: Pick<Poller, "wait">,
    sources: number,
    awake: number,
    now: () => number = monotonic,
    giveWay: () => void = yieldCpu,
  ) {
    this.#poller = poller;
    this.#awake = awake;
    this.#now = now;
    this.#giveWay = giveWay;
    this.#rhythms = Array.from({ length: sources }, () => new Rhythm());
  }

  /** The source of this index has moved packets. */
  moved(source: number, now: number): void {
    if (source === 0) this.#isExpectant = this.#awake > 0;
    this.#rhythms[source]!.heard(now);
  }

  /**
   * Waits until something is readable, but not much beyond `until`, and perhaps less.
   *
   * @param now the time, or a little before it
   */
  wait(now: number, until: number): void {
    const isExpectant = this.#isExpectant;
    this.#isExpectant = false;
    if (now < this.#sleepyUntil) return void this.#poller.wait(until - now);
    if (isExpectant && this.#stayAwake(this.#now() + this.#awake)) return;
    const rhythm = this.#nextBeat(now);
    if (rhythm === undefined || rhythm.from >= until) return void this.#poller.wait(until - now);
    if (this.#poller.wait(rhythm.from - this.#now())) return;
    if (!this.#stayAwake(rhythm.until)) rhythm.missed();
  }

  /** The rhythm whose next packet is expected first. */
  #nextBeat(now: number): Rhythm | undefined {
    let next: Rhythm | undefined;
    for (const rhythm of this.#rhythms) {
      if (rhythm.from > now && rhythm.from < (next?.from ?? Infinity)) next = rhythm;
    }
    return next;
  }

  /** Stays awake, and lets whoever else wants this processor have it meanwhile: whether something has come. */
  #stayAwake(until: number): boolean {
    let at = this.#now();
    do {
      if (this.#poller.wait(0)) {
        this.#disturbed = 0;
        return true;
      }
      const before = at;
      this.#giveWay();
      at = this.#now();
      if (at - before > LONG) {
        if (++this.#disturbed === CROWDED.times) {
          this.#sleepyUntil = at + CROWDED.rest;
          this.#disturbed = 0;
        }
        return this.#poller.wait(0);
      }
    } while (at < until);
    this.#disturbed = 0;
    return false;
  }
}
