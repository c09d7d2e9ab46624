/**
 * Changes that add routes. A run can lose a route while it is up, because the kernel drops all
 * routes to an interface that goes down.
 *
 * @module
 */
import { formatIp, type IpAddress } from "../../ip/address.ts";
import { type Cidr, formatCidr } from "../../ip/cidr.ts";
import { command } from "./action.ts";
import { isSame } from "./addresses.ts";
import type { Change } from "./change.ts";
import { type Route, Table } from "./state.ts";

/** How to recognise a route. */
interface NeededRoute {
  readonly table: number;
  /** The interface that it leads to; undefined for a route that refuses. */
  readonly device?: string;
  /** Whether a route is this one, whoever added it. */
  readonly is: (route: Route) => boolean;
}

/** The change that adds a route. */
export function planRoute(
  what: string,
  words: readonly string[],
  { is, ...route }: NeededRoute,
  routes: readonly Route[],
): Change {
  return {
    what,
    isThere: routes.some(is),
    make: command("ip", "route", "add", ...words),
    undo: command("ip", "route", "delete", ...words),
    kept: { ...route, is: ({ routes }) => routes.some(is) },
  };
}

/** The metric of a table's last routes: higher than what people use by hand. */
const LAST = 4096;

/**
 * The route of a block into the tunnel. The kernel drops it when the TUN interface goes down.
 *
 * @param source the address that it gives to packets without one
 */
export function planCapturingRoute(
  block: Cidr,
  tun: string,
  table: number,
  routes: readonly Route[],
  source?: IpAddress,
): Change {
  const destination = wordOf(block);
  const is = (route: Route) =>
    route.table === table && route.device === tun && isSame(route.to, block) && route.metric < LAST &&
    (source === undefined || route.source === source);
  const words = ["table", `${table}`, destination, "dev", tun];
  if (source !== undefined) words.push("src", formatIp(source));
  const what = nameOf({ to: block, table, device: tun });
  return { ...planRoute(what, words, { table, device: tun, is }, routes), goesWithTun: true };
}

/**
 * The route that refuses a block when its route into the tunnel is gone. Without it, the kernel
 * would consult the main table, and captured packets would leave in the clear.
 *
 * @param sink `lo`: packets get a route to the loopback interface, and the firewall refuses them
 *   there, unless they are answers, which it leads past the tunnel. Without it, no packet gets a
 *   route, so that not even an answer is sent
 * @param source the address that packets without one get there, so that the firewall knows them
 */
export function planRefusal(
  block: Cidr,
  table: number,
  routes: readonly Route[],
  sink?: "lo",
  source?: IpAddress,
): Change {
  const destination = wordOf(block);
  const is = (route: Route) => isRefusal(route, block, table);
  const refusing = sink === undefined ? ["prohibit", destination] : [destination, "dev", sink];
  const as = source === undefined ? [] : ["src", formatIp(source)];
  const words = [...refusing, ...as, "table", `${table}`, "metric", `${LAST}`];
  return planRoute(nameOf({ to: block, table }), words, { table, is }, routes);
}

/** The name of the change that adds a capturing route, or the refusal of a block. */
export function nameOf({ to, table, device }: Pick<Route, "to" | "table" | "device">): string {
  const [block, where] = [wordOf(to), `in table ${table}`];
  return device === undefined || device === "lo"
    ? `refusal of ${block} ${where}`
    : `route of ${block} to ${device} ${where}`;
}

/** Whether a route is a refusal of a block. An older version left other ones than ours. */
export function isRefusal(route: Route, block: Cidr, table: number): boolean {
  return route.table === table && (route.device === "lo" || route.prohibits === true) &&
    isSame(route.to, block) && route.metric === LAST;
}

/** A block as `ip route` shows it. */
export function wordOf(block: Cidr): string {
  return formatCidr(block).replace(/\/32$/, "");
}

/** The default route that the kernel prefers. */
export function defaultRoute(routes: readonly Route[]): Route | undefined {
  const all = routes.filter(({ to, table, device }) =>
    to.prefix === 0 && table === Table.main && device !== undefined
  );
  return all.toSorted(byPreference)[0];
}

/** The main table comes first, and within a table the lowest metric. */
export function byPreference(one: Route, other: Route): number {
  return Number(other.table === Table.main) - Number(one.table === Table.main) || one.metric - other.metric;
}
