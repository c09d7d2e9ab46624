/**
 * What a data link is to the rest of onion: datagrams to and from numbered neighbours, never blocking, and as
 * unreliable as UDP.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";

/** A neighbour's place in its link's table, from 0. */
export type Neighbour = number;

/** {@linkcode Link.receive} when nothing waits. */
export const NOTHING: Neighbour = -1;

/** {@linkcode Link.receive} when a stranger sent the datagram. */
export const STRANGER: Neighbour = -2;

/** Datagrams between neighbours. */
export interface Link {
  /** The descriptor that is readable while datagrams wait; undefined for a link in memory. */
  readonly fd: number | undefined;
  /**
   * Fills `into`, which has room for the longest packet, with the next waiting datagram.
   *
   * @returns who sent it, {@linkcode STRANGER}, or {@linkcode NOTHING}
   */
  receive(into: PacketBuffer): Neighbour;
  /** Whether further datagrams have come already that no descriptor announces any more. */
  readonly hasMore: boolean;
  /**
   * Sends the datagram in `datagram`: at once, or where the link is corked together with others. The buffer may be used
   * again afterwards.
   *
   * @returns false when it was refused
   */
  send(neighbour: Neighbour, datagram: PacketBuffer): boolean;
  /** From now on what is sent may wait for more that goes the same way, until the cork is out (the idea of UDP_CORK, udp(7)). */
  cork(): void;
  /**
   * Lets go what waits, and what comes from now on at once.
   *
   * @returns how many of those that waited were refused
   */
  uncork(): number;
  /** When {@linkcode Link.expire} next has something to do, in ms; Infinity for never. */
  readonly deadline: number;
  /** Sends what was held back until now. */
  expire(now: number): void;
}
