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
 * A processor is crowded where so many times in a row somebody else has wanted it for long; then nobody stays awake on it
 * for so many ms, for to give it away and get it back takes longer than a waking.
 */
const CROWDED = { times: 3, rest: 250 } as const;

/**
 * Turns a node until the doorbell rings. What happens in a turn is published at its end.
 *
 * @param doorbell its descriptor; it is left ringing
 * @throws {SysError} when a device is gone
 */
export function runUntilDoorbell(
  { node, fds, ring, placement, awake = 0 }: Turnable,
  doorbell: number,
): void {
  const poller = new Poller([doorbell, ...fds]);
  const { sources } = node;
  let wakeAt = Infinity;
  let due = node.deadline();
  let now = monotonic();
  let first = 0;
  let disturbed = 0;
  let sleepyUntil = 0;
  try {
    // What is due at the start comes before packets that have waited for it.
    if (due <= now) node.expire(now);
    for (;;) {
      due = node.deadline();
      // By the time at which the turn began: what a turn takes is less than a wait is exact to.
      const timeout = Math.min(due, wakeAt) - now;
      if (first === 0 || awake === 0 || now < sleepyUntil) poller.wait(timeout);
      else if (poller.waitAwake(timeout, awake, monotonic)) disturbed = 0;
      else if (++disturbed === CROWDED.times) {
        sleepyUntil = now + CROWDED.rest;
        disturbed = 0;
      }
      if (poller.isReadable(0)) return;
      now = monotonic();
      let moved = first = 0;
      for (let index = 0; index < sources.length; index++) {
        if (!poller.isReadable(index + 1)) continue;
        const count = sources[index]!(now);
        if (index === 0) first = count;
        moved += count;
      }
      placement?.turned(moved, now);
      if (due <= now) node.expire(now);
      ring.publish();
      if (wakeAt <= now) {
        ring.wake();
        wakeAt = Infinity;
      } else if (wakeAt === Infinity && ring.isWaitedFor) wakeAt = now + LOG_DELAY;
    }
  } finally {
    ring.wake();
  }
}
