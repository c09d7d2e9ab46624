/**
 * What an exit is to a router: the place where packets leave the onion, and where the answers to
 * them come in.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Ipv4View } from "../ip/ipv4.ts";
import type { Trace } from "../trace/trace.ts";

/**
 * Takes an answer back into the onion, on the circuit that its request came by. It uses the buffer
 * up.
 *
 * @param isFromWorld whether the answer came from outside, and not from the exit itself
 * @param now the time in ms
 */
export type Deliver = (circuit: number, packet: PacketBuffer, isFromWorld: boolean, now: number) => void;

/** A way out of the onion. */
export interface Exit {
  /**
   * Takes a packet out: a whole datagram with a valid IPv4 header and ICMP message.
   *
   * @param circuit the router's own number of the circuit that it came by
   * @param packet the packet; the exit uses it up
   * @param ip a view of it
   * @param now the time in ms
   */
  send(circuit: number, packet: PacketBuffer, ip: Ipv4View, now: number): void;
  /** When {@linkcode Exit.expire} next has something to do, in ms; Infinity for never. */
  readonly deadline: number;
  /** Forgets what has waited too long. */
  expire(now: number): void;
  /**
   * The outside, if the exit reads from there; undefined for an exit that makes every answer
   * itself.
   */
  readonly world?: World;
}

/** The outside of an exit. */
export interface World {
  /** The device that its packets are read from. */
  readonly device: {
    /** The descriptor that is readable while packets wait; undefined for a device in memory. */
    readonly fd: number | undefined;
    /** Fills `into` with the next packet. Returns whether there was one. */
    receive(into: PacketBuffer): boolean;
  };
  /** Takes a packet from the device. The exit uses the buffer up. */
  readonly take: (packet: PacketBuffer, now: number) => void;
}

/**
 * Makes the exit of a router.
 *
 * @param random numbers in [0, 1) that an outsider cannot guess
 */
export type ExitMaker = (deliver: Deliver, trace: Trace, random: () => number) => Exit;
