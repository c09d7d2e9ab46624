/**
 * What a core is given to say what happened.
 *
 * @module
 */
import type { Counters } from "./counters.ts";
import type { EventSink } from "./events.ts";

/** Where a core reports: numbers, and events for the log. */
export interface Trace {
  /** What is counted. */
  readonly counters: Counters;
  /** What is logged. */
  readonly events: EventSink;
}
