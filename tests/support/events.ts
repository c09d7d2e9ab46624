/**
 * Events as tests look at them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventLine } from "../../src/log/classic.ts";
import { EventRing, type Keeps, ringBytes } from "../../src/trace/event_ring.ts";
import type { Event, EventKind, EventSink } from "../../src/trace/events.ts";

/** The fields of an event that depend on its kind. */
type FieldsOf<Kind extends EventKind> = Omit<Extract<Event, { kind: Kind }>, "kind" | "time">;

/** An event without its time. */
export type Timeless = { [Kind in EventKind]: { readonly kind: Kind } & FieldsOf<Kind> }[EventKind];

/** A sink that remembers everything that the classic log shows, or another part of it. */
export class EventMemory extends EventRing {
  readonly #events: Event[] = [];

  constructor(keeps: Keeps = "lines") {
    super(new ArrayBuffer(ringBytes(16_384)), {
      keeps,
      lost: () => assert.fail("too many events to remember"),
    });
  }

  /** Every event so far, with its time. */
  get timed(): readonly Event[] {
    this.drain((event) => this.#events.push(event));
    return this.#events;
  }

  /** The events without their times. */
  get events(): Timeless[] {
    return this.timed.map(({ time: _, ...event }) => event as Timeless);
  }

  /** The classic log. */
  get lines(): string[] {
    return this.timed.map(eventLine);
  }

  /** Forgets what happened. */
  clear(): void {
    this.drain(() => {});
    this.#events.length = 0;
  }
}

/** The routers of the hops that these events tell of. */
export function routersOf(events: readonly Timeless[]): number[] {
  return events.flatMap((event) => event.kind === "hop" ? [event.router] : []);
}

/** An event of this kind, without its time. */
export function event<Kind extends EventKind>(kind: Kind, fields: FieldsOf<Kind>): Timeless {
  return { kind, ...fields } as unknown as Timeless;
}

/** A sink that fails the test when something happens. */
export const NO_EVENTS = new Proxy({}, {
  get: (_, kind) => () => assert.fail(`an event: ${String(kind)}`),
}) as EventSink;
