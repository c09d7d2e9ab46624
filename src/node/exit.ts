/**
 * What an exit is to a router: the place where packets leave the onion, and where the answers to them come in.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Ipv4View } from "../ip/ipv4.ts";

/**
 * Takes an answer back into the onion, on the circuit that its request came by. The buffer is used up.
 *
 * @param isFromWorld whether somebody outside has sent it, and not the exit itself
 * @param now the time in ms
 */
export type Deliver = (circuit: number, packet: PacketBuffer, isFromWorld: boolean, now: number) => void;

/** A way out of the onion. */
export interface Exit {
  /**
   * Takes a packet out: a whole datagram, its IPv4 header and ICMP message checked.
   *
   * @param circuit the router's own number for the circuit that it came by
   * @param packet the packet, used up
   * @param ip a view of it
   * @param now the time in ms
   */
  send(circuit: number, packet: PacketBuffer, ip: Ipv4View, now: number): void;
  /** When {@linkcode Exit.expire} next has something to do, in ms; Infinity for never. */
  readonly deadline: number;
  /** Forgets what has waited too long. */
  expire(now: number): void;
}
