/**
 * Events for tests: a sink that remembers them, and events to compare with.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventLine } from "../../src/log/classic.ts";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { addressFromBits, type IpAddress } from "../../src/ip/address.ts";
import { echoRequest } from "../../src/ip/icmp.ts";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { EventRing, type Keeps, ringBytes } from "../../src/trace/event_ring.ts";
import type { Event, EventKind } from "../../src/trace/event_record.ts";
import type { EventSink } from "../../src/trace/events.ts";

/** The fields that an event of a kind has besides its kind and time. */
type FieldsOf<Kind extends EventKind> = Omit<Extract<Event, { kind: Kind }>, "kind" | "time">;

/** An event without its time. */
export type Timeless = { [Kind in EventKind]: { readonly kind: Kind } & FieldsOf<Kind> }[EventKind];

/** A sink that remembers its events: by default, the fields that the classic log shows. */
export class EventMemory extends EventRing {
  readonly #events: Event[] = [];

  constructor(keeps: Keeps = "lines") {
    super(new ArrayBuffer(ringBytes(32_768)), {
      keeps,
      lost: () => assert.fail("more events than the test can remember"),
    });
  }

  /** Every event so far, with its time. */
  get timed(): readonly Event[] {
    drainEvents(this, (event) => this.#events.push(event));
    return this.#events;
  }

  /** The events without their times. */
  get events(): Timeless[] {
    return this.timed.map(({ time: _, ...event }) => event as Timeless);
  }

  /** The lines of the classic log. */
  get lines(): string[] {
    return this.timed.map(eventLine);
  }

  /** Forgets every event. */
  clear(): void {
    drainEvents(this, () => {});
    this.#events.length = 0;
  }
}

/** Takes every published event of a ring, oldest first. */
export function drainEvents(ring: EventRing, take: (event: Event) => void): void {
  ring.drainRuns((record, times) => {
    for (let time = 0; time < times; time++) take(record.decode());
  });
}

/** The routers of the hops among these events. */
export function routersOf(events: readonly Timeless[]): number[] {
  return events.flatMap((event) => event.kind === "hop" ? [event.router] : []);
}

/** An event of this kind, without its time. */
export function event<Kind extends EventKind>(kind: Kind, fields: FieldsOf<Kind>): Timeless {
  return { kind, ...fields } as unknown as Timeless;
}

/** A sink that fails the test at any event. */
export const NO_EVENTS = new Proxy({}, {
  get: (_, kind) => () => assert.fail(`an event: ${String(kind)}`),
}) as EventSink;

/** The n-th event. Each field depends on n, so a mixed-up record is noticed. The source is n. */
export function eventNumber(n: number): Event & { readonly kind: "relay-packet" } {
  const mixed = Math.imul(n, 0x9e37_79b1) >>> 0;
  return {
    kind: "relay-packet",
    time: n + 1 / 3,
    source: addressFromBits(n),
    destination: addressFromBits(~n >>> 0),
    incoming: mixed,
    outgoing: ~mixed >>> 0,
    newSource: addressFromBits((n ^ mixed) >>> 0),
    length: 28 + n % 8,
    id: n & 0xffff,
    seq: mixed & 0xffff,
  };
}

/** Reports the n-th event to a sink. */
export function writeNumber(sink: EventSink, n: number): void {
  const { time, incoming, outgoing, newSource, source, destination, length, id, seq } = eventNumber(n);
  sink.relayPacket(pingOf({ source, destination, length, id, seq }), incoming, outgoing, newSource, time);
}

/** A view of a ping's request. */
export function pingOf(
  { source, destination, length = 28, id = 0, seq = 0 }: {
    readonly source: IpAddress;
    readonly destination: IpAddress;
    readonly length?: number | undefined;
    readonly id?: number | undefined;
    readonly seq?: number | undefined;
  },
): Ipv4View {
  const data = new Uint8Array(length - 28);
  const packet = new PacketBuffer(length);
  packet.load(echoRequest({ source, destination, identifier: id, sequence: seq, data }));
  const view = new Ipv4View();
  view.wrap(packet);
  return view;
}
