/**
 * Chooses the routers of a circuit.
 *
 * @module
 */
import { addressModulo, type IpAddress } from "../../ip/address.ts";

/** The index of a router in the proxy's table, from 0. */
export type RouterIndex = number;

/**
 * Chooses distinct routers at random. All sequences are equally likely.
 *
 * @param among the routers to choose from, all different
 * @param hops number of routers to choose, at most as many as there are
 * @param random returns numbers in [0, 1) that an outsider cannot guess
 * @param avoid a router to leave out if there are enough others, because it did not answer
 */
export function choosePath(
  among: readonly RouterIndex[],
  hops: number,
  random: () => number,
  avoid?: RouterIndex,
): RouterIndex[] {
  const routers = hops < among.length ? among.filter((router) => router !== avoid) : [...among];
  // The Fisher–Yates shuffle, stopped after the first `hops` places.
  for (let place = 0; place < hops; place++) {
    const other = place + Math.floor(random() * (routers.length - place));
    [routers[place], routers[other]] = [routers[other]!, routers[place]!];
  }
  return routers.slice(0, hops);
}

/**
 * The router for a destination if every router is an exit. That is the router with this address.
 * Otherwise its index is the destination as a number, modulo the number of routers.
 *
 * @param addresses the routers' addresses in the world, in order; undefined for a router without
 * one
 */
export function routerFor(
  destination: IpAddress,
  addresses: readonly (IpAddress | undefined)[],
): RouterIndex {
  if (addresses.length === 1) return 0;
  const own = addresses.indexOf(destination);
  return own >= 0 ? own : addressModulo(destination, addresses.length);
}
