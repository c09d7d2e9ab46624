/**
 * The classic log lines. People compare them with course material, so their shapes are exact.
 *
 * @module
 */
import { formatCircuit } from "../cell/cell.ts";
import { type Event, EventKind } from "../trace/events.ts";
import { formatIpv4 } from "../wire/ipv4.ts";

/** The proxy's first line. */
export function proxyLine(port: number): string {
  return `proxy port: ${port}`;
}

/** The line that introduces a router, in its own log and in the proxy's. */
export function routerLine(router: number, pid: number, port: number): string {
  return `router: ${router}, pid: ${pid}, port: ${port}`;
}

/** The line of an event. */
export function eventLine(event: Readonly<Event>): string {
  const { kind, source, destination, detail, port } = event;
  switch (kind) {
    case EventKind.icmpFromTunnel:
      return `ICMP from tunnel, src: ${formatIpv4(source)}, dst: ${formatIpv4(destination)}, type: ${detail}`;
    case EventKind.icmpFromPort:
      return `ICMP from port: ${port}, src: ${formatIpv4(source)}, dst: ${
        formatIpv4(destination)
      }, type: ${detail}`;
    case EventKind.icmpFromRawSocket:
      return `ICMP from raw sock, src: ${formatIpv4(source)}, dst: ${
        formatIpv4(destination)
      }, type: ${detail}`;
    case EventKind.unknownCircuit:
      return `unknown incoming circuit: ${formatCircuit(detail)}, src: ${formatIpv4(source)}, dst: ${
        formatIpv4(destination)
      }`;
  }
}

/** Lines that are kept because they are likely to come again, a power of two. */
const KEPT = 8192;

/** A line and the event that it tells of. */
interface KeptLine {
  readonly event: Readonly<Event>;
  readonly bytes: Uint8Array;
}

/**
 * The lines of events as bytes, line end included. The packets of a flood are alike, and so are their lines: the last
 * ones are kept, each at a place that follows from its event, so that most are formatted once. Addresses that follow
 * one another lead to different places.
 */
export class EventLines {
  readonly #kept = new Array<KeptLine | undefined>(KEPT).fill(undefined);
  readonly #encoder = new TextEncoder();

  /** The line of an event, good until it is asked for another. */
  bytes(event: Readonly<Event>): Uint8Array {
    const { kind, source, destination, detail, port } = event;
    const place = (source ^ Math.imul(destination, 31) ^ Math.imul(kind, 1021) ^ detail) & (KEPT - 1);
    const kept = this.#kept[place];
    if (
      kept !== undefined && kept.event.source === source && kept.event.destination === destination &&
      kept.event.kind === kind && kept.event.detail === detail && kept.event.port === port
    ) return kept.bytes;
    const bytes = this.#encoder.encode(eventLine(event) + "\n");
    this.#kept[place] = { event: { ...event }, bytes };
    return bytes;
  }
}

/** An event as an object for JSON lines. */
export function eventObject(event: Readonly<Event>): Record<string, string | number> {
  const { kind, detail, port } = event;
  const [source, destination] = [formatIpv4(event.source), formatIpv4(event.destination)];
  switch (kind) {
    case EventKind.icmpFromTunnel:
      return { event: "icmp-from-tunnel", source, destination, type: detail };
    case EventKind.icmpFromPort:
      return { event: "icmp-from-port", port, source, destination, type: detail };
    case EventKind.icmpFromRawSocket:
      return { event: "icmp-from-raw-socket", source, destination, type: detail };
    case EventKind.unknownCircuit:
      return { event: "unknown-circuit", circuit: formatCircuit(detail), port };
  }
}
