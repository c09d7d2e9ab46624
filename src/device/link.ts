/**
 * The interface of a data link: datagrams to and from numbered neighbours. It never blocks, and is
 * as unreliable as UDP.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Endpoint } from "../ip/address.ts";

/** The index of a neighbour in its link's table, from 0. */
export type Neighbour = number;

/** The result of {@linkcode Link.receive} if no datagram waits. */
export const NOTHING: Neighbour = -1;

/** The result of {@linkcode Link.receive} if the sender is not in the table. */
export const STRANGER: Neighbour = -2;

/** Sends and receives datagrams. */
export interface Link {
  /** The descriptor that is readable while datagrams wait; undefined for a link in memory. */
  readonly fd: number | undefined;
  /**
   * Fills `into`, which has room for the longest packet, with the next datagram.
   *
   * @returns its sender, {@linkcode STRANGER}, or {@linkcode NOTHING}
   */
  receive(into: PacketBuffer): Neighbour;
  /** Whether received datagrams are still buffered. `poll` does not report them. */
  readonly hasMore: boolean;
  /**
   * Sends a datagram: at once, or together with others while the link is corked. The buffer is free
   * again afterwards.
   *
   * @returns false if it was refused
   */
  send(neighbour: Neighbour, datagram: PacketBuffer): boolean;
  /**
   * Replaces the endpoint of a neighbour. Without one, the neighbour is gone: what it sends comes
   * from a {@linkcode STRANGER}, and datagrams to it are refused.
   */
  replaceNeighbour(neighbour: Neighbour, by: Endpoint | undefined): void;
  /**
   * Lets datagrams wait for others to the same neighbour from now on, as UDP_CORK does (udp(7)).
   */
  cork(): void;
  /**
   * Sends the waiting datagrams, and every later one at once.
   *
   * @returns how many of the waiting ones were refused
   */
  uncork(): number;
  /** When {@linkcode Link.expire} next has something to do, in ms; Infinity for never. */
  readonly deadline: number;
  /** Sends the datagrams that were delayed until `now`. */
  expire(now: number): void;
}
