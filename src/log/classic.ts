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
const KEPT = 256;

/**
 * The lines of events as bytes, line end included. The packets of a flood are alike, and so are their lines: the last
 * ones are kept, each at a place that follows from its event, so that most are formatted once.
 */
export class EventLines {
  readonly #events: Event[] = Array.from(
    { length: KEPT },
    () => ({ kind: EventKind.icmpFromTunnel, source: 0, destination: 0, detail: -1, port: 0 }),
  );
  readonly #lines: Uint8Array[] = Array.from({ length: KEPT }, () => new Uint8Array());
  readonly #encoder = new TextEncoder();

  /** The line of an event, good until it is asked for another. */
  bytes(event: Readonly<Event>): Uint8Array {
    const { kind, source, destination, detail, port } = event;
    const place = (source ^ Math.imul(destination, 31) ^ Math.imul(kind, 127) ^ detail) & (KEPT - 1);
    const kept = this.#events[place]!;
    if (
      kept.source !== source || kept.destination !== destination || kept.kind !== kind ||
      kept.detail !== detail ||
      kept.port !== port
    ) {
      Object.assign(kept, event);
      this.#lines[place] = this.#encoder.encode(eventLine(event) + "\n");
    }
    return this.#lines[place]!;
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
