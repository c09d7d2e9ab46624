/**
 * Circuit keys: packets with the same key share a circuit. The pool only compares keys, so a key
 * can stand for a router, a client, or a flow.
 *
 * @module
 */
import type { IpAddress } from "../../ip/address.ts";
import type { Ipv4View } from "../../ip/ipv4.ts";
import { routerFor } from "./path.ts";

/** What the packets of one circuit have in common. A `Map` decides whether two keys are equal. */
export type CircuitKey = unknown;

/** Returns the key of a packet. */
export type KeyOf = (packet: Ipv4View) => CircuitKey;

/** A circuit for each client: the key is the packet's source. */
export const byClient: KeyOf = (packet) => packet.source;

/**
 * A circuit for each router: the key is the index of the router that {@linkcode routerFor} assigns
 * to the destination.
 *
 * @param addresses the routers' addresses in the world, in order; undefined for a router without
 * one
 */
export function byRouter(addresses: readonly (IpAddress | undefined)[]): KeyOf {
  return (packet) => routerFor(packet.destination, addresses);
}
