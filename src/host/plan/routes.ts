/**
 * Routes, as changes that may be lost while a run is up: when an interface goes down, the kernel
 * drops what leads by it.
 *
 * @module
 */
import { type Cidr, formatCidr } from "../../ip/cidr.ts";
import { isSame } from "./addresses.ts";
import { command } from "./action.ts";
import type { Change, NeededRoute } from "./change.ts";
import { type Route, Table } from "./state.ts";

/** The change that makes a route. */
export function planRoute(
  what: string,
  words: readonly string[],
  route: NeededRoute,
  routes: readonly Route[],
): Change {
  return {
    what,
    isThere: routes.some(route.is),
    make: command("ip", "route", "add", ...words),
    undo: command("ip", "route", "delete", ...words),
    route,
  };
}

/**
 * The metric of what comes last in the table: higher than those of routes that people make by hand.
 */
const LAST = 4096;

/** The route of a block into the tunnel. It goes when the TUN interface goes down, or away. */
export function planCapturingRoute(
  block: Cidr,
  tun: string,
  table: number,
  routes: readonly Route[],
): Change {
  const destination = wordOf(block);
  const is = (route: Route) =>
    route.table === table && route.device === tun && isSame(route.to, block) && route.metric < LAST;
  const words = ["table", `${table}`, destination, "dev", tun];
  const what = `route of ${destination} to ${tun} in table ${table}`;
  return { ...planRoute(what, words, { table, device: tun, is }, routes), goesWithTun: true };
}

/**
 * The route that refuses a block where the one into the tunnel has gone. Without it, the kernel
 * would go on to the main table, and what is to be captured would leave in the clear.
 */
export function planRefusal(block: Cidr, table: number, routes: readonly Route[]): Change {
  const destination = wordOf(block);
  const is = (route: Route) => isRefusal(route, block, table);
  const words = ["prohibit", destination, "table", `${table}`, "metric", `${LAST}`];
  return planRoute(`refusal of ${destination} in table ${table}`, words, { table, is }, routes);
}

/** Whether a route is the one that refuses a block. */
export function isRefusal(route: Route, block: Cidr, table: number): boolean {
  return route.table === table && route.prohibits === true && isSame(route.to, block) &&
    route.metric === LAST;
}

function wordOf(block: Cidr): string {
  return formatCidr(block).replace(/\/32$/, "");
}

/** The default route that the kernel prefers. */
export function defaultRoute(routes: readonly Route[]): Route | undefined {
  const all = routes.filter(({ to, table, device }) =>
    to.prefix === 0 && table === Table.main && device !== undefined
  );
  return all.toSorted(byPreference)[0];
}

/** The main table first, and in a table the lowest metric. */
export function byPreference(one: Route, other: Route): number {
  return Number(other.table === Table.main) - Number(one.table === Table.main) || one.metric - other.metric;
}
