/**
 * The events that a core reports, packet by packet. They become the lines of the classic log.
 *
 * @module
 */
import { type IpAddress, UNSPECIFIED } from "../ip/address.ts";
import type { Ipv4View } from "../ip/ipv4.ts";
import { head, icmpHead, Kind } from "./event_record.ts";

/**
 * Takes events as they happen, with a method for each kind. `now` is the time in ms that the core
 * was given. A packet is good only during the call; its addresses are not rewritten yet.
 */
export abstract class EventSink {
  /**
   * Takes an event of any kind.
   *
   * @param first the first word of its record
   * @param packet the packet, if it can be read
   * @param rewritten the address that replaces the source or the destination
   * @param destination the destination to show, instead of the packet's own
   * @param length bytes of sealed contents
   */
  protected abstract put(
    first: number,
    now: number,
    packet?: Ipv4View,
    incoming?: number,
    outgoing?: number,
    rewritten?: IpAddress,
    destination?: IpAddress,
    length?: number,
  ): void;

  /** An ICMP packet came out of the TUN interface. */
  icmpFromTunnel(packet: Ipv4View, now: number): void {
    this.put(icmpHead(Kind["icmp-from-tunnel"], packet), now, packet);
  }

  /** An ICMP packet came from the neighbour at this UDP port. */
  icmpFromPort(packet: Ipv4View, port: number, now: number): void {
    this.put(icmpHead(Kind["icmp-from-port"], packet, port), now, packet);
  }

  /** An ICMP packet came from the world to the exit's address, `destination`. */
  icmpFromRawSocket(packet: Ipv4View, destination: IpAddress, now: number): void {
    this.put(icmpHead(Kind["icmp-from-raw-socket"], packet), now, packet, 0, 0, UNSPECIFIED, destination);
  }

  /** A cell from this UDP port had an unknown circuit id. `packet` is its contents, if readable. */
  unknownCircuit(circuit: number, port: number, packet: Ipv4View | undefined, now: number): void {
    this.put(head(Kind["unknown-circuit"], port), now, packet, circuit);
  }

  /** The proxy has chosen a router for the hop at this position of a path, from 1. */
  hop(hop: number, router: number, now: number): void {
    this.put(head(Kind["hop"], router, hop), now);
  }

  /** A router extends a circuit to the neighbour at this UDP port. */
  newExtend(incoming: number, outgoing: number, port: number, now: number): void {
    this.put(head(Kind["new-extend"], port), now, undefined, incoming, outgoing);
  }

  /** A router forwards an extend cell to the neighbour at this UDP port. */
  forwardExtend(incoming: number, outgoing: number, port: number, now: number): void {
    this.put(head(Kind["forward-extend"], port), now, undefined, incoming, outgoing);
  }

  /** The proxy has learnt from the neighbour at this UDP port that a circuit was extended. */
  extendDone(incoming: number, port: number, now: number): void {
    this.put(head(Kind["extend-done"], port), now, undefined, incoming);
  }

  /** A router forwards a packet, away from the proxy. */
  relayPacket(packet: Ipv4View, incoming: number, outgoing: number, newSource: IpAddress, now: number): void {
    this.put(head(Kind["relay-packet"]), now, packet, incoming, outgoing, newSource);
  }

  /** A packet leaves the onion. */
  outgoingPacket(packet: Ipv4View, incoming: number, newSource: IpAddress, now: number): void {
    this.put(head(Kind["outgoing-packet"]), now, packet, incoming, 0, newSource);
  }

  /** A packet from the world to the exit's address, `destination`, enters the onion. */
  packetFromWorld(packet: Ipv4View, destination: IpAddress, outgoing: number, now: number): void {
    this.put(head(Kind["packet-from-world"]), now, packet, 0, outgoing, UNSPECIFIED, destination);
  }

  /** A router forwards a reply, towards the proxy. */
  relayReply(packet: Ipv4View, incoming: number, outgoing: number, newTarget: IpAddress, now: number): void {
    this.put(head(Kind["relay-reply"]), now, packet, incoming, outgoing, newTarget);
  }

  /** A router forwards a packet that it cannot read: `length` sealed bytes. */
  relaySealed(incoming: number, outgoing: number, length: number, now: number): void {
    this.#sealed(Kind["relay-sealed"], incoming, outgoing, length, now);
  }

  /** A router forwards a reply that it cannot read: `length` sealed bytes. */
  relayReplySealed(incoming: number, outgoing: number, length: number, now: number): void {
    this.#sealed(Kind["relay-reply-sealed"], incoming, outgoing, length, now);
  }

  /** A packet came back to the proxy by a circuit. */
  incomingPacket(packet: Ipv4View, incoming: number, now: number): void {
    this.put(head(Kind["incoming-packet"]), now, packet, incoming);
  }

  #sealed(kind: number, incoming: number, outgoing: number, length: number, now: number): void {
    this.put(head(kind), now, undefined, incoming, outgoing, UNSPECIFIED, UNSPECIFIED, length);
  }
}

/** A sink that ignores every event. */
export const SILENT: EventSink = new class extends EventSink {
  protected put(): void {}
}();
