/**
 * The packet loop: blocks until a descriptor has something, moves it, and blocks again.
 *
 * @module
 */
import { monotonic } from "../sys/clock.ts";
import { Poller } from "../sys/poll.ts";
import type { EventRing } from "../trace/event_ring.ts";
import type { Node } from "./node.ts";
import type { Placement } from "./placement.ts";
import { AWAKE, LOG } from "./scheduling.ts";
import type { Source } from "./source.ts";

/** What a loop turns. */
export interface Turnable {
  readonly node: Node;
  readonly ring: EventRing;
  /** Moves the thread between processors; undefined to leave it to the kernel. */
  readonly placement?: Placement | undefined;
}

/**
 * Turns a node until the doorbell rings. What happens in a turn is published at its end.
 *
 * @param doorbell its descriptor; it is left ringing
 * @throws {SysError} when a device is gone
 */
export function runUntilDoorbell(turnable: Turnable, doorbell: number): void {
  try {
    const loop = new PacketLoop(turnable, doorbell);
    // A function that is called often is compiled sooner, and stays so for longer, than one that never returns.
    while (loop.turn());
  } finally {
    turnable.ring.wake();
  }
}

/** A loop that turns. */
class PacketLoop {
  readonly #node: Node;
  readonly #poller: Poller;
  readonly #ring: EventRing;
  readonly #placement: Placement | undefined;
  /** The source that brings answers, if one does. */
  readonly #answers: Source | undefined;
  #now = monotonic();
  #due = Infinity;
  /** When the reader of the events is to be woken, and when it was. */
  #wakeAt = Infinity;
  #wokenAt = -Infinity;
  /** Whether to stay awake for what follows, how often in a row that was disturbed, and until when to leave it. */
  #isExpectant = false;
  #disturbed = 0;
  #sleepyUntil = 0;

  constructor({ node, ring, placement }: Turnable, doorbell: number) {
    this.#node = node;
    this.#poller = new Poller([doorbell, ...node.sources.map(fdOf)]);
    this.#ring = ring;
    this.#placement = placement;
    this.#answers = node.sources.find(({ bringsAnswers }) => bringsAnswers);
    this.#due = node.deadline();
    // What is due at the start comes before packets that have waited for it.
    if (this.#due <= this.#now) node.expire(this.#now);
  }

  /** Waits, and moves what has come. False when the doorbell has rung. */
  turn(): boolean {
    this.#wait();
    if (this.#poller.isReadable(0)) return false;
    const now = this.#now = monotonic();
    const { sources } = this.#node;
    let moved = 0;
    for (let index = 0; index < sources.length; index++) {
      if (!this.#poller.isReadable(index + 1)) continue;
      const source = sources[index]!;
      const count = source.move(now);
      if (source === this.#answers) this.#isExpectant = count > 0;
      moved += count;
    }
    if (moved === 1 && !this.#isExpectant) this.#lookForAnswer();
    this.#placement?.turned(moved, now);
    if (this.#due <= now) this.#node.expire(now);
    this.#tell(now);
    return true;
  }

  /** Whoever shares this processor has taken it to answer, and may have done so by now: no need to wait for that. */
  #lookForAnswer(): void {
    if (this.#answers !== undefined) this.#isExpectant = this.#answers.move(monotonic()) > 0;
  }

  #wait(): void {
    this.#due = this.#node.deadline();
    // By the time at which the turn began: what a turn takes is less than a wait is exact to.
    const timeout = Math.min(this.#due, this.#wakeAt) - this.#now;
    const staysAwake = this.#isExpectant && this.#now >= this.#sleepyUntil;
    this.#isExpectant = false;
    if (!staysAwake) return this.#poller.wait(timeout);
    if (this.#poller.waitAwake(timeout, AWAKE, monotonic)) {
      this.#disturbed = 0;
    } else if (++this.#disturbed === AWAKE.absences) {
      this.#sleepyUntil = this.#now + AWAKE.rest;
      this.#disturbed = 0;
    }
  }

  /** Tells the reader of the events. */
  #tell(now: number): void {
    const ring = this.#ring;
    ring.publish();
    if (!ring.hasNews) return;
    if (this.#wakeAt === Infinity) this.#wakeAt = Math.max(now + LOG.delay, this.#wokenAt + LOG.pause);
    if (now < this.#wakeAt && ring.fill < LOG.fill) return;
    ring.wake();
    this.#wokenAt = now;
    this.#wakeAt = Infinity;
  }
}

function fdOf({ fd }: Source): number {
  if (fd === undefined) throw new TypeError("a loop cannot wait for a device in memory");
  return fd;
}
