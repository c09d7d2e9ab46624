/**
 * Keys: packets of one key share a circuit. The pool knows a key only by its equality, so that it can stand for
 * anything that packets are to be kept apart by.
 *
 * @module
 */
import type { IpAddress } from "../../ip/address.ts";
import type { Ipv4View } from "../../ip/ipv4.ts";
import { routerFor } from "./path.ts";

/** What packets that share a circuit have in common; two keys are the same where a Map takes them for the same. */
export type CircuitKey = unknown;

/** Reads the key of a packet off its view. */
export type KeyOf = (packet: Ipv4View) => CircuitKey;

/** One circuit for each client: the packet's source. */
export const byClient: KeyOf = (packet) => packet.source;

/**
 * One circuit for each router: the index of the router that the destination belongs to.
 *
 * @param addresses that the routers leave by, in their order; undefined for one without
 */
export function byRouter(addresses: readonly (IpAddress | undefined)[]): KeyOf {
  return (packet) => routerFor(packet.destination, addresses);
}
