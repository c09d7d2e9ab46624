/**
 * The classic log lines. Users compare them with course material, so every character counts.
 *
 * @module
 */
import { formatCircuit } from "../cell/cell.ts";
import type { Event, EventRecord } from "../trace/event_record.ts";
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

/** The line of each kind of event. */
const LINES: { readonly [Kind in Event["kind"]]: (event: Event & { readonly kind: Kind }) => string } = {
  "icmp-from-tunnel": (event) => `ICMP from tunnel, ${ends(event)}, type: ${event.type}`,
  "icmp-from-port": (event) => `ICMP from port: ${event.port}, ${ends(event)}, type: ${event.type}`,
  "icmp-from-raw-socket": (event) => `ICMP from raw sock, ${ends(event)}, type: ${event.type}`,
  "unknown-circuit": (event) => `unknown incoming circuit: ${formatCircuit(event.circuit)}, ${ends(event)}`,
  "hop": ({ hop, router }) => `hop: ${hop}, router: ${router}`,
  "new-extend": (event) => `new extend circuit: ${passage(event)} at ${event.port}`,
  "forward-extend": (event) => `forwarding extend circuit: ${passage(event)} at ${event.port}`,
  "extend-done": (event) => `incoming extend-done circuit, ${incoming(event)} from port: ${event.port}`,
  "relay-packet": (event) => `relay packet, circuit ${passage(event)}, ${outward(event)}`,
  "outgoing-packet": (event) => `outgoing packet, circuit ${incoming(event)}, ${outward(event)}`,
  "packet-from-world": (event) =>
    `incoming packet, ${ends(event)}, outgoing circuit: ${formatCircuit(event.outgoing)}`,
  "relay-reply": (event) => `relay reply packet, circuit ${passage(event)}, ${inward(event)}`,
  "relay-sealed": (event) => `relay encrypted packet, circuit ${passage(event)}`,
  "relay-reply-sealed": (event) => `relay reply encrypted packet, circuit ${passage(event)}`,
  "incoming-packet": (event) => `incoming packet, circuit ${incoming(event)}, ${ends(event)}`,
};

/** The line of an event. */
export function eventLine(event: Event): string {
  // Each row takes only events of its own kind, and this event is one.
  const lineOf: (event: never) => string = LINES[event.kind];
  return lineOf(event as never);
}

/** The addresses of a packet that keeps both. */
function ends(packet: { readonly source: IpAddress; readonly destination: IpAddress }): string {
  return `src: ${formatIp(packet.source)}, dst: ${formatIp(packet.destination)}`;
}

function incoming({ incoming }: { readonly incoming: number }): string {
  return `incoming: ${formatCircuit(incoming)}`;
}

function passage(event: { readonly incoming: number; readonly outgoing: number }): string {
  return `${incoming(event)}, outgoing: ${formatCircuit(event.outgoing)}`;
}

/** The addresses of a packet that gets a new source. */
function outward(event: Event & { readonly kind: "relay-packet" | "outgoing-packet" }): string {
  const [source, newSource] = [formatIp(event.source), formatIp(event.newSource)];
  return `incoming src: ${source}, outgoing src: ${newSource}, dst: ${formatIp(event.destination)}`;
}

/** The addresses of a packet that gets a new destination. */
function inward(event: Event & { readonly kind: "relay-reply" }): string {
  const [destination, newDestination] = [formatIp(event.destination), formatIp(event.newDestination)];
  return `src: ${formatIp(event.source)}, incoming dst: ${destination}, outgoing dst: ${newDestination}`;
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

/**
 * An event as an object for JSON lines.
 *
 * @param toWallClock ms to add to an event's time to get ms since the Unix epoch
 */
export function eventObject(event: Event, toWallClock: number): Record<string, unknown> {
  const { kind, time, ...fields } = event;
  const object: Record<string, unknown> = {
    time: new Date(time + toWallClock).toISOString(),
    event: kind,
  };
  for (const [field, value] of Object.entries(fields)) {
    object[field] = FORMATS[field]?.(value as never) ?? value;
  }
  return object;
}
