/**
 * The packet loop: blocks until a descriptor has something, moves it, and blocks again.
 *
 * @module
 */
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
  /** Milliseconds that the thread stays awake after a packet, for the next one may be about to come; 0 unless given. */
  readonly awake?: number;
}

/**
 * Milliseconds after which the reader of the event ring is woken. Not at once: its waking would take a core away
 * from the packet that is on its way, and the log can wait.
 */
const LOG_DELAY = 2;

const time = () => performance.now();

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
  let now = performance.now();
  let moved = 0;
  try {
    for (;;) {
      // By the time at which the turn began: what a turn takes is less than a wait is exact to.
      const timeout = Math.min(node.deadline(), wakeAt) - now;
      if (moved > 0 && awake > 0) poller.waitAwake(timeout, awake, time);
      else poller.wait(timeout);
      if (poller.isReadable(0)) return;
      now = performance.now();
      moved = 0;
      for (let index = 0; index < sources.length; index++) {
        if (poller.isReadable(index + 1)) moved += sources[index]!(now);
      }
      placement?.turned(moved, now);
      if (node.deadline() <= now) node.expire(now);
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
