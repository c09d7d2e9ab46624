/**
 * Events as tests look at them: every word of each.
 *
 * @module
 */
import { blankEvent, type Event, type EventKind, type EventSink } from "../../src/trace/events.ts";
import { type IpAddress, UNSPECIFIED } from "../../src/ip/address.ts";

/** A sink that remembers everything it is told. */
export class EventMemory implements EventSink {
  readonly events: Event[] = [];

  emit(
    kind: EventKind,
    source: IpAddress = UNSPECIFIED,
    destination: IpAddress = UNSPECIFIED,
    detail: number,
    port: number,
    incoming = 0,
    outgoing = 0,
    rewritten: IpAddress = UNSPECIFIED,
  ): void {
    this.events.push({ kind, source, destination, detail, port, incoming, outgoing, rewritten });
  }
}

/** An event whose fields are zero unless given. */
export function event(kind: EventKind, fields: Partial<Event> = {}): Event {
  return { ...blankEvent(), kind, ...fields };
}
