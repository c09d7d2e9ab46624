/**
 * A contender: something that answers echo requests inside a namespace, and can be started and ended.
 *
 * @module
 */
import type { Netns } from "./netns.ts";

/** What a packet passes. Only contenders of one shape do the same work, so only they are compared. */
export type Shape = "kernel" | "one process" | "two processes";

/** A contender that answers. Disposing of it ends it. */
export interface Running extends AsyncDisposable {
  /** From starting it to its `ready` line, in ms; `undefined` if it has no program. */
  readonly startMs: number | undefined;
  /** Aborted, its reason an Error with the last words, when it ends unasked. */
  readonly ended: AbortSignal;
}

/** Something to measure. Its namespaces stay for the whole run, its programs for one round. */
export interface Contender {
  /** As the table and `--only` call it. */
  readonly name: string;
  readonly shape: Shape;
  /** Whether it is the floor of its shape, ratio 1. */
  readonly floor: boolean;
  /** The name of the contender that is this one at the revision of `--against`. */
  readonly before?: string;
  /** Where the load comes from. The programs of the contender are the only processes inside. */
  readonly netns: Netns;
  /** The IPv4 address that answers. */
  readonly target: string;
  /** Starts it, and returns when it says that it is ready. */
  start(signal: AbortSignal): Promise<Running>;
}
