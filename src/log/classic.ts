/**
 * The classic log lines. Users compare them with course material, so every character counts.
 *
 * @module
 */
import { formatCircuit } from "../cell/cell.ts";
import type { Event, EventKind, EventRecord } from "../trace/event_record.ts";
import { formatIp, type IpAddress } from "../ip/address.ts";
import { Line } from "./line_file.ts";

/** The proxy's first line. */
export function proxyLine(port: number): string {
  return `proxy port: ${port}`;
}

/**
 * The line that introduces a router, in its own log and in the proxy's.
 *
 * @param address the router's own address; only if circuits are built, where it stands for the
 * router in the log
 */
export function routerLine(router: number, pid: number, port: number, address?: IpAddress): string {
  const line = `router: ${router}, pid: ${pid}, port: ${port}`;
  return address === undefined ? line : `${line}, IP: ${formatIp(address)}`;
}

/** The line of each kind of event. A field's name stands in braces where its value belongs. */
const LINES: Readonly<Record<EventKind, string>> = {
  "icmp-from-tunnel": "ICMP from tunnel, src: {source}, dst: {destination}, type: {type}",
  "icmp-from-port": "ICMP from port: {port}, src: {source}, dst: {destination}, type: {type}",
  "icmp-from-raw-socket": "ICMP from raw sock, src: {source}, dst: {destination}, type: {type}",
  "unknown-circuit": "unknown incoming circuit: {circuit}, src: {source}, dst: {destination}",
  "hop": "hop: {hop}, router: {router}",
  "new-extend": "new extend circuit: incoming: {incoming}, outgoing: {outgoing} at {port}",
  "forward-extend": "forwarding extend circuit: incoming: {incoming}, outgoing: {outgoing} at {port}",
  "extend-done": "incoming extend-done circuit, incoming: {incoming} from port: {port}",
  "relay-packet": "relay packet, circuit incoming: {incoming}, outgoing: {outgoing}, " +
    "incoming src: {source}, outgoing src: {newSource}, dst: {destination}",
  "outgoing-packet": "outgoing packet, circuit incoming: {incoming}, " +
    "incoming src: {source}, outgoing src: {newSource}, dst: {destination}",
  "packet-from-world": "incoming packet, src: {source}, dst: {destination}, outgoing circuit: {outgoing}",
  "relay-reply": "relay reply packet, circuit incoming: {incoming}, outgoing: {outgoing}, " +
    "src: {source}, incoming dst: {destination}, outgoing dst: {newDestination}",
  "relay-sealed": "relay encrypted packet, circuit incoming: {incoming}, outgoing: {outgoing}",
  "relay-reply-sealed": "relay reply encrypted packet, circuit incoming: {incoming}, outgoing: {outgoing}",
  "incoming-packet": "incoming packet, circuit incoming: {incoming}, src: {source}, dst: {destination}",
};

/** Each line in parts: text, and the names of fields in the odd places. */
const PARTS = new Map(Object.entries(LINES).map(([kind, line]) => [kind, line.split(/[{}]/)]));

/** Formats the fields of an event that are more than plain numbers. */
const FORMATS: Readonly<Record<string, (value: never) => string>> = {
  source: formatIp,
  destination: formatIp,
  newSource: formatIp,
  newDestination: formatIp,
  circuit: formatCircuit,
  incoming: formatCircuit,
  outgoing: formatCircuit,
};

/** The line of an event. */
export function eventLine(event: Event): string {
  const fields = event as unknown as Readonly<Record<string, unknown>>;
  const parts = PARTS.get(event.kind)!;
  let line = parts[0]!;
  for (let at = 1; at < parts.length; at += 2) {
    line += formatField(parts[at]!, fields[parts[at]!]) + parts[at + 1]!;
  }
  return line;
}

function formatField(field: string, value: unknown): unknown {
  return FORMATS[field]?.(value as never) ?? value;
}

/** Lines that are kept because they are likely to repeat, a power of two. */
const KEPT = 8192;

/** A line, and the words of its record that determine it. */
interface KeptLine {
  readonly shown: Uint32Array;
  readonly line: Line;
}

/**
 * Makes the lines of events. The packets of a flood are alike, and so are their lines. The last
 * lines are therefore kept, each at a place that its event determines, so most are formatted only
 * once. Consecutive addresses have different places.
 */
export class EventLines {
  readonly #kept = new Array<KeptLine | undefined>(KEPT).fill(undefined);

  /** The line of a record's event. */
  of(record: EventRecord): Line {
    const place = record.hash & (KEPT - 1);
    const kept = this.#kept[place];
    if (kept !== undefined && record.shows(kept.shown)) return kept.line;
    const line = new Line(eventLine(record.decode()));
    this.#kept[place] = { shown: record.shown(), line };
    return line;
  }
}

/**
 * An event as an object for JSON lines.
 *
 * @param toWallClock ms to add to an event's time to get ms since the Unix epoch
 */
export function eventObject(event: Event, toWallClock: number): Record<string, unknown> {
  const { kind, time, ...fields } = event;
  const formatted = Object.entries(fields).map(([field, value]) => [field, formatField(field, value)]);
  return {
    time: new Date(time + toWallClock).toISOString(),
    event: kind,
    ...Object.fromEntries(formatted),
  };
}
