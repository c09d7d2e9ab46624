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
