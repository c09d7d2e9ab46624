/**
 * The packet loop: blocks until a descriptor is readable, moves its packets, and blocks again.
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

/** What a packet loop runs. */
export interface Turnable {
  readonly node: Node;
  readonly ring: EventRing;
  /** Moves the thread between processors; undefined to leave it to the kernel. */
  readonly placement?: Placement | undefined;
}

/**
 * Runs a node until the doorbell rings. It publishes the events of each turn at the end of the
 * turn.
 *
 * @param doorbell the descriptor of the doorbell, which stays rung
 * @throws {SysError} if a device is gone
 */
export function runUntilDoorbell(turnable: Turnable, doorbell: number): void {
  try {
    const loop = new PacketLoop(turnable, doorbell);
    // V8 optimizes a function that is called often better than a loop that never returns (ADR 12).
    while (loop.turn());
  } finally {
    turnable.ring.wake();
  }
}

/** A running loop. */
class PacketLoop {
  readonly #node: Node;
  readonly #poller: Poller;
  readonly #ring: EventRing;
  readonly #placement: Placement | undefined;
  /** The source that brings answers, if one does. */
  readonly #answers: Source | undefined;
  #now = monotonic();
  #due = Infinity;
  /** When to wake the reader of the events, and when it was woken last. */
  #wakeAt = Infinity;
  #wokenAt = -Infinity;
  /** Whether answers have just come, so that it pays to stay awake for more. */
  #isExpectant = false;
  /** How often in a row the thread lost its processor while it stayed awake. */
  #disturbed = 0;
  /** Until when it does not stay awake, because it lost its processor too often. */
  #sleepyUntil = 0;

  constructor({ node, ring, placement }: Turnable, doorbell: number) {
    this.#node = node;
    this.#poller = new Poller([doorbell, ...node.sources.map(fdOf)]);
    this.#ring = ring;
    this.#placement = placement;
    this.#answers = node.sources.find(({ bringsAnswers }) => bringsAnswers);
    this.#due = node.deadline();
    // A circuit may be due at the start, and packets may already wait for it.
    if (this.#due <= this.#now) node.expire(this.#now);
  }

  /** Waits for packets and moves them. Returns false if the doorbell has rung. */
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

  /** A router on this processor may have answered the packet already, so poll(2) is not needed. */
  #lookForAnswer(): void {
    if (this.#answers !== undefined) this.#isExpectant = this.#answers.move(monotonic()) > 0;
  }

  #wait(): void {
    this.#due = this.#node.deadline();
    // The time at which the turn began is good enough, because a turn is shorter than the accuracy
    // of a wait.
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

  /** Publishes the events, and wakes their reader when it is time. */
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
