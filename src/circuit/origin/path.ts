/**
 * Choosing paths.
 *
 * @module
 */
import { addressModulo, type IpAddress } from "../../ip/address.ts";

/** A router's place in its proxy's table, from 0. */
export type RouterIndex = number;

/**
 * Chooses distinct routers at random, every sequence as likely as any other.
 *
 * @param count how many routers there are
 * @param hops how many to choose, at most `count`
 * @param random numbers in [0, 1) that an outsider cannot guess
 * @param avoid a router to do without where there are enough others, because it did not answer
 */
export function choosePath(
  count: number,
  hops: number,
  random: () => number,
  avoid?: RouterIndex,
): RouterIndex[] {
  const routers = Array.from({ length: count }, (_, index) => index);
  if (avoid !== undefined && hops < count) routers.splice(avoid, 1);
  // Fisher and Yates, stopped after the part that is wanted.
  for (let place = 0; place < hops; place++) {
    const other = place + Math.floor(random() * (routers.length - place));
    [routers[place], routers[other]] = [routers[other]!, routers[place]!];
  }
  return routers.slice(0, hops);
}

/**
 * The router of a destination in the stages where each leads to the world by itself: the router that has the address,
 * else the one that the address as a 32-bit number counts to.
 *
 * @param addresses of the routers, in order; undefined for one without
 */
export function routerFor(
  destination: IpAddress,
  addresses: readonly (IpAddress | undefined)[],
): RouterIndex {
  if (addresses.length === 1) return 0;
  const own = addresses.indexOf(destination);
  return own >= 0 ? own : addressModulo(destination, addresses.length);
}
