/**
 * The classic log lines. People compare them with course material, so their shapes are exact.
 *
 * @module
 */
import { formatCircuit } from "../cell/cell.ts";
import { type Event, EventKind } from "../trace/events.ts";
import { Line } from "./line_file.ts";
import { addressBits, formatIp, type IpAddress } from "../ip/address.ts";

/** The proxy's first line. */
export function proxyLine(port: number): string {
  return `proxy port: ${port}`;
}

/**
 * The line that introduces a router, in its own log and in the proxy's.
 *
 * @param address the address that it leaves by, where circuits are built: there it stands for the router
 */
export function routerLine(router: number, pid: number, port: number, address?: IpAddress): string {
  const line = `router: ${router}, pid: ${pid}, port: ${port}`;
  return address === undefined ? line : `${line}, IP: ${formatIp(address)}`;
}

/** The line of an event. */
export function eventLine(event: Readonly<Event>): string {
  const { kind, detail, port } = event;
  const [source, destination, rewritten] = [event.source, event.destination, event.rewritten].map(formatIp);
  const [incoming, outgoing] = [event.incoming, event.outgoing].map(formatCircuit);
  switch (kind) {
    case EventKind.icmpFromTunnel:
      return `ICMP from tunnel, src: ${source}, dst: ${destination}, type: ${detail}`;
    case EventKind.icmpFromPort:
      return `ICMP from port: ${port}, src: ${source}, dst: ${destination}, type: ${detail}`;
    case EventKind.icmpFromRawSocket:
      return `ICMP from raw sock, src: ${source}, dst: ${destination}, type: ${detail}`;
    case EventKind.unknownCircuit:
      return `unknown incoming circuit: ${formatCircuit(detail)}, src: ${source}, dst: ${destination}`;
    case EventKind.hop:
      return `hop: ${detail}, router: ${port}`;
    case EventKind.newExtend:
      return `new extend circuit: incoming: ${incoming}, outgoing: ${outgoing} at ${port}`;
    case EventKind.forwardExtend:
      return `forwarding extend circuit: incoming: ${incoming}, outgoing: ${outgoing} at ${port}`;
    case EventKind.extendDone:
      return `incoming extend-done circuit, incoming: ${incoming} from port: ${port}`;
    case EventKind.relayPacket:
      return `relay packet, circuit incoming: ${incoming}, outgoing: ${outgoing}, ` +
        `incoming src: ${source}, outgoing src: ${rewritten}, dst: ${destination}`;
    case EventKind.outgoingPacket:
      return `outgoing packet, circuit incoming: ${incoming}, ` +
        `incoming src: ${source}, outgoing src: ${rewritten}, dst: ${destination}`;
    case EventKind.packetFromWorld:
      return `incoming packet, src: ${source}, dst: ${destination}, outgoing circuit: ${outgoing}`;
    case EventKind.relayReply:
      return `relay reply packet, circuit incoming: ${incoming}, outgoing: ${outgoing}, ` +
        `src: ${source}, incoming dst: ${destination}, outgoing dst: ${rewritten}`;
    case EventKind.relaySealed:
      return `relay encrypted packet, circuit incoming: ${incoming}, outgoing: ${outgoing}`;
    case EventKind.relayReplySealed:
      return `relay reply encrypted packet, circuit incoming: ${incoming}, outgoing: ${outgoing}`;
    case EventKind.incomingPacket:
      return `incoming packet, circuit incoming: ${incoming}, src: ${source}, dst: ${destination}`;
  }
}

/** Lines that are kept because they are likely to come again, a power of two. */
const KEPT = 8192;

/** A line and the event that it tells of. */
interface KeptLine {
  readonly event: Readonly<Event>;
  readonly line: Line;
}

/**
 * The lines of events, ready to be written. The packets of a flood are alike, and so are their lines: the last
 * ones are kept, each at a place that follows from its event, so that most are formatted once. Addresses that follow
 * one another lead to different places.
 */
export class EventLines {
  readonly #kept = new Array<KeptLine | undefined>(KEPT).fill(undefined);

  /** The line of an event. */
  of(event: Readonly<Event>): Line {
    const { kind, source, destination, detail } = event;
    const place =
      (addressBits(source) ^ Math.imul(addressBits(destination), 31) ^ Math.imul(kind, 1021) ^ detail) &
      (KEPT - 1);
    const kept = this.#kept[place];
    if (kept !== undefined && isSame(kept.event, event)) return kept.line;
    const line = new Line(eventLine(event));
    this.#kept[place] = { event: { ...event }, line };
    return line;
  }
}

function isSame(one: Readonly<Event>, other: Readonly<Event>): boolean {
  return one.source === other.source && one.destination === other.destination && one.kind === other.kind &&
    one.detail === other.detail && one.port === other.port && one.incoming === other.incoming &&
    one.outgoing === other.outgoing && one.rewritten === other.rewritten;
}

/** An event as an object for JSON lines. */
export function eventObject(event: Readonly<Event>): Record<string, string | number> {
  const { kind, detail, port } = event;
  const [source = "", destination = "", rewritten = ""] = [event.source, event.destination, event.rewritten]
    .map(formatIp);
  const [incoming = "", outgoing = ""] = [event.incoming, event.outgoing].map(formatCircuit);
  switch (kind) {
    case EventKind.icmpFromTunnel:
      return { event: "icmp-from-tunnel", source, destination, type: detail };
    case EventKind.icmpFromPort:
      return { event: "icmp-from-port", port, source, destination, type: detail };
    case EventKind.icmpFromRawSocket:
      return { event: "icmp-from-raw-socket", source, destination, type: detail };
    case EventKind.unknownCircuit:
      return { event: "unknown-circuit", circuit: formatCircuit(detail), source, destination, port };
    case EventKind.hop:
      return { event: "hop", hop: detail, router: port };
    case EventKind.newExtend:
      return { event: "new-extend", incoming, outgoing, port };
    case EventKind.forwardExtend:
      return { event: "forward-extend", incoming, outgoing, port };
    case EventKind.extendDone:
      return { event: "extend-done", incoming, port };
    case EventKind.relayPacket:
      return { event: "relay-packet", incoming, outgoing, source, newSource: rewritten, destination };
    case EventKind.outgoingPacket:
      return { event: "outgoing-packet", incoming, source, newSource: rewritten, destination };
    case EventKind.packetFromWorld:
      return { event: "packet-from-world", source, destination, outgoing };
    case EventKind.relayReply:
      return { event: "relay-reply", incoming, outgoing, source, destination, newDestination: rewritten };
    case EventKind.relaySealed:
      return { event: "relay-sealed", incoming, outgoing };
    case EventKind.relayReplySealed:
      return { event: "relay-reply-sealed", incoming, outgoing };
    case EventKind.incomingPacket:
      return { event: "incoming-packet", incoming, source, destination };
  }
}
