/**
 * The events of a core, packet by packet. They become the lines of the classic log.
 *
 * @module
 */
import type { IpAddress } from "../ip/address.ts";
import type { Ipv4View } from "../ip/ipv4.ts";

/** The fields of events. Each kind has some of them. */
interface EventFields {
  /** The packet's source address as it came. */
  source: IpAddress;
  /** The packet's destination address as it came. */
  destination: IpAddress;
  /** The ICMP type. */
  type: number;
  /** The neighbour's UDP port. */
  port: number;
  /** A circuit id that the core does not know. */
  circuit: number;
  /** The position of a hop on its path, from 1. */
  hop: number;
  /** A router's number, from 1. */
  router: number;
  /** The id of the circuit that a cell came by. */
  incoming: number;
  /** The id of the circuit that the cell leaves by. */
  outgoing: number;
  /** The address that replaces the source. */
  newSource: IpAddress;
  /** The address that replaces the destination. */
  newDestination: IpAddress;
}

/** The kinds of events, and the fields that each has. */
export const EVENT_FIELDS = {
  /** An ICMP packet came out of the TUN interface. */
  "icmp-from-tunnel": ["source", "destination", "type"],
  /** An ICMP packet came from a neighbour's port. */
  "icmp-from-port": ["port", "source", "destination", "type"],
  /** An ICMP packet came from the world. */
  "icmp-from-raw-socket": ["source", "destination", "type"],
  /** A cell had an unknown circuit id. */
  "unknown-circuit": ["circuit", "source", "destination", "port"],
  /** The proxy has chosen a hop for a circuit that it is about to build. */
  "hop": ["hop", "router"],
  /** A router extends a circuit to a neighbour. */
  "new-extend": ["incoming", "outgoing", "port"],
  /** A router forwards an extend cell. */
  "forward-extend": ["incoming", "outgoing", "port"],
  /** The proxy has learnt that a circuit was extended. */
  "extend-done": ["incoming", "port"],
  /** A router forwards a packet, away from the proxy. */
  "relay-packet": ["incoming", "outgoing", "source", "newSource", "destination"],
  /** A packet leaves the onion. */
  "outgoing-packet": ["incoming", "source", "newSource", "destination"],
  /** A packet from the world enters the onion. */
  "packet-from-world": ["source", "destination", "outgoing"],
  /** A router forwards a reply, towards the proxy. */
  "relay-reply": ["incoming", "outgoing", "source", "destination", "newDestination"],
  /** A router forwards a packet that it cannot read. */
  "relay-sealed": ["incoming", "outgoing"],
  /** A router forwards a reply that it cannot read. */
  "relay-reply-sealed": ["incoming", "outgoing"],
  /** A packet came back to the proxy by a circuit. */
  "incoming-packet": ["incoming", "source", "destination"],
} as const satisfies Record<string, readonly (keyof EventFields)[]>;

/** A key of {@linkcode EVENT_FIELDS}. */
export type EventKind = keyof typeof EVENT_FIELDS;

/**
 * Details of a packet that the classic line does not show. Only a ring that keeps packets has them.
 */
export interface PacketDetails {
  /** Bytes of the IP packet, or of the sealed contents. */
  length?: number;
  /** The identifier of an ICMP echo message. */
  id?: number;
  /** The sequence number of an ICMP echo message. */
  seq?: number;
  /** The source port of a TCP segment or UDP datagram. */
  sourcePort?: number;
  /** The destination port of a TCP segment or UDP datagram. */
  destinationPort?: number;
}

/** An event: its kind, its time in ms by the core's clock, and the fields of its kind. */
export type Event = {
  [Kind in EventKind]:
    & { readonly kind: Kind; readonly time: number }
    & Readonly<Pick<EventFields, (typeof EVENT_FIELDS)[Kind][number]>>
    & Readonly<PacketDetails>;
}[EventKind];

/**
 * Takes events as they happen, with a method for each kind in {@linkcode EVENT_FIELDS}. `now` is
 * the time in ms that the core was given. A packet is good only during the call; its addresses are
 * not rewritten yet.
 */
export interface EventSink {
  /** An ICMP packet came out of the TUN interface. */
  icmpFromTunnel(packet: Ipv4View, now: number): void;
  /** An ICMP packet came from the neighbour at this UDP port. */
  icmpFromPort(packet: Ipv4View, port: number, now: number): void;
  /** An ICMP packet came from the world to the exit's address, `destination`. */
  icmpFromRawSocket(packet: Ipv4View, destination: IpAddress, now: number): void;
  /** A cell from this UDP port had an unknown circuit id. `packet` is its contents, if readable. */
  unknownCircuit(circuit: number, port: number, packet: Ipv4View | undefined, now: number): void;
  /** The proxy has chosen a router for the hop at this position, from 1. */
  hop(hop: number, router: number, now: number): void;
  /** A router extends a circuit to the neighbour at this UDP port. */
  newExtend(incoming: number, outgoing: number, port: number, now: number): void;
  /** A router forwards an extend cell to the neighbour at this UDP port. */
  forwardExtend(incoming: number, outgoing: number, port: number, now: number): void;
  /** The proxy has learnt from the neighbour at this UDP port that a circuit was extended. */
  extendDone(incoming: number, port: number, now: number): void;
  /** A router forwards a packet. */
  relayPacket(packet: Ipv4View, incoming: number, outgoing: number, newSource: IpAddress, now: number): void;
  /** A packet leaves the onion. */
  outgoingPacket(packet: Ipv4View, incoming: number, newSource: IpAddress, now: number): void;
  /** A packet from the world to the exit's address, `destination`, enters the onion. */
  packetFromWorld(packet: Ipv4View, destination: IpAddress, outgoing: number, now: number): void;
  /** A router forwards a reply. */
  relayReply(
    packet: Ipv4View,
    incoming: number,
    outgoing: number,
    newDestination: IpAddress,
    now: number,
  ): void;
  /** A router forwards a packet that it cannot read: `length` sealed bytes. */
  relaySealed(incoming: number, outgoing: number, length: number, now: number): void;
  /** A router forwards a reply that it cannot read: `length` sealed bytes. */
  relayReplySealed(incoming: number, outgoing: number, length: number, now: number): void;
  /** A packet came back to the proxy. */
  incomingPacket(packet: Ipv4View, incoming: number, now: number): void;
}

const ignore = () => {};

/** A sink that ignores every event. */
export const SILENT: EventSink = new Proxy({} as EventSink, { get: () => ignore });
