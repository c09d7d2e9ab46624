/**
 * The packet loop: blocks until a descriptor has something, moves it, and blocks again.
 *
 * @module
 */
import { monotonic } from "../sys/clock.ts";
import { Poller } from "../sys/poll.ts";
import type { EventRing } from "../trace/events.ts";
import type { Node } from "./node.ts";
import type { Placement } from "./placement.ts";
import { Waiter } from "./waiter.ts";

/** What a loop turns: a node, and the descriptors of its sources. */
export interface Turnable {
  readonly node: Node;
  /** One for each of the node's sources, in the same order. */
  readonly fds: readonly number[];
  readonly ring: EventRing;
  /** Where the thread runs; wherever the kernel likes where it is undefined. */
  readonly placement?: Placement | undefined;
  /**
   * Milliseconds that the thread stays awake after a packet of its first source, for what follows it may be about to come;
   * 0 unless given. After others it is somebody else's turn, who may need this processor.
   */
  readonly awake?: number;
}

/**
 * Milliseconds after which the reader of the event ring is woken. Not at once: its waking would take a core away
 * from the packet that is on its way, and the log can wait.
 */
const LOG_DELAY = 2;

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
  readonly #waiter: Waiter;
  readonly #ring: EventRing;
  readonly #placement: Placement | undefined;
  #now = monotonic();
  #due: number;
  /** When the reader of the events is to be woken. */
  #wakeAt = Infinity;

  constructor({ node, fds, ring, placement, awake = 0 }: Turnable, doorbell: number) {
    this.#node = node;
    this.#poller = new Poller([doorbell, ...fds]);
    this.#ring = ring;
    this.#placement = placement;
    this.#waiter = new Waiter(this.#poller, fds.length, awake);
    this.#due = node.deadline();
    // What is due at the start comes before packets that have waited for it.
    if (this.#due <= this.#now) node.expire(this.#now);
  }

  /** Waits, and moves what has come. False when the doorbell has rung. */
  turn(): boolean {
    this.#due = this.#node.deadline();
    // By the time at which the turn before began: what a turn takes is less than a wait is exact to.
    this.#waiter.wait(this.#now, Math.min(this.#due, this.#wakeAt));
    if (this.#poller.isReadable(0)) return false;
    const now = this.#now = monotonic();
    const { sources } = this.#node;
    let moved = 0;
    for (let index = 0; index < sources.length; index++) {
      if (!this.#poller.isReadable(index + 1)) continue;
      const count = sources[index]!(now);
      if (count > 0) this.#waiter.moved(index, now);
      moved += count;
    }
    this.#placement?.turned(moved, now);
    if (this.#due <= now) this.#node.expire(now);
    this.#tell(now);
    return true;
  }

  /** Tells the reader of the events. */
  #tell(now: number): void {
    this.#ring.publish();
    if (this.#wakeAt <= now) {
      this.#ring.wake();
      this.#wakeAt = Infinity;
    } else if (this.#wakeAt === Infinity && this.#ring.isWaitedFor) this.#wakeAt = now + LOG_DELAY;
  }
}
