/**
 * Reads the state of the host's network from `ip -json`.
 *
 * @module
 */
import { parseIp } from "../ip/address.ts";
import { EVERYWHERE, parseCidr } from "../ip/cidr.ts";
import { changesOfClosedCaptures, changesOfLiveRuns, type ClosedCaptures } from "./apply/journal.ts";
import { ask } from "./apply/programs.ts";
import { readSysctl } from "./apply/sysctl.ts";
import { type HostState, type Interface, type Route, type Rule, Table } from "./plan/state.ts";

/**
 * Reads the state of the host.
 *
 * @param withRules whether to read the rules too; without them, a kernel without policy routing
 *   will do
 * @param taken the captures that this process is taking over
 */
export async function readHostState(withRules = true, taken?: ClosedCaptures): Promise<HostState> {
  return {
    ...parseNetwork(
      await ask(["-d", "-N", "-json"], [
        ["ip", "address", "show"],
        ...(withRules ? [["ip", "rule", "show"] as const] : []),
        // Those of IPv4, whatever the table.
        ["ip", "route", "show", "table", "all", "root", "0.0.0.0/0"],
      ]),
    ),
    sysctl: readSysctl,
    held: changesOfLiveRuns(undefined, taken),
    closed: changesOfClosedCaptures(undefined, taken),
  };
}

/**
 * Parses what `ip -d -N -json -batch` prints for addresses, rules and routes: one list a line, in
 * any order. For an empty list it prints nothing, or a list of empty objects.
 */
export function parseNetwork(lists: string): Pick<HostState, "interfaces" | "rules" | "routes"> {
  const items = lists.split("\n").filter((line) => line.trim() !== "")
    .flatMap((line) => JSON.parse(line) as object[]);
  const having = <T>(key: keyof T & string) => items.filter((item) => Object.hasOwn(item, key)) as T[];
  const rules = having<IpRule>("priority");
  return {
    interfaces: having<IpLink>("ifname").map(parseInterface),
    rules: rules.map(parseRule),
    // A rule may have a destination, too.
    routes: having<IpRoute>("dst").filter((item) => !Object.hasOwn(item, "priority"))
      .flatMap((route) => (route.nexthops ?? [route]).map((hop) => parseRoute(route, hop))),
  };
}

interface IpLink {
  readonly ifname: string;
  readonly altnames?: readonly string[];
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: { readonly type?: string } };
  readonly addr_info: readonly ListedAddress[];
}

interface ListedAddress {
  readonly family: string;
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly deprecated?: boolean;
}

/** `<linux/rtnetlink.h>`: RT_SCOPE_UNIVERSE, as `ip -N` writes it. */
const GLOBAL = "0";

function parseInterface({ ifname, altnames, flags, mtu, linkinfo, addr_info }: IpLink): Interface {
  // TUN and TAP interfaces are one kind to the kernel; their own data tells them apart.
  const kind = linkinfo?.info_data?.type ?? linkinfo?.info_kind;
  return {
    name: ifname,
    ...(altnames !== undefined && { otherNames: altnames }),
    ...(kind !== undefined && { kind }),
    isUp: flags.includes("UP"),
    hasCarrier: flags.includes("LOWER_UP"),
    isPointToPoint: flags.includes("POINTOPOINT"),
    mtu,
    addresses: addr_info.filter(({ family }) => family === "inet")
      .toSorted((a, b) => reluctance(a) - reluctance(b))
      .map(({ local, prefixlen }) => ({ address: parseIp(local)!, prefix: prefixlen })),
  };
}

/**
 * Sorts addresses by how well they suit as a source. The kernel already lists primary addresses
 * first.
 */
function reluctance({ scope, deprecated }: ListedAddress): number {
  return (deprecated === true ? 2 : 0) + (scope === GLOBAL ? 0 : 1);
}

interface IpRule {
  readonly priority: number;
  readonly src: string;
  readonly srclen?: number;
  readonly dst?: string;
  readonly dstlen?: number;
  readonly iif?: string;
  readonly fwmark?: string;
  readonly table?: string;
  /** The program that added it, which makes no difference. */
  readonly protocol?: string;
}

function parseRule({ priority, src, srclen, fwmark, table, protocol: _, ...others }: IpRule): Rule {
  return {
    priority,
    src: srclen === undefined ? src : `${src}/${srclen}`,
    ...(others.dst !== undefined && { to: parseCidr(`${others.dst}/${others.dstlen ?? 32}`)! }),
    ...(fwmark !== undefined && { fwmark }),
    ...(table !== undefined && { table: Number(table) }),
    // `iif lo` is a condition on this host's own packets.
    others: Object.keys(others).map((name) => name === "iif" && others.iif === "lo" ? "iif lo" : name),
  };
}

interface IpHop {
  readonly dev?: string;
  readonly gateway?: string;
  /** A gateway of another family (RFC 5549). */
  readonly via?: { readonly family: string; readonly host: string };
  readonly flags?: readonly string[];
}

interface IpRoute extends IpHop {
  readonly dst: string;
  /** Absent for an ordinary route. */
  readonly type?: string;
  readonly table?: string;
  readonly prefsrc?: string;
  readonly metric?: number;
  readonly nexthops?: readonly IpHop[];
}

/** `<linux/rtnetlink.h>`: RTN_PROHIBIT, as `ip -N` writes it. */
const PROHIBIT = "8";

function parseRoute(
  { dst, type, table, prefsrc, metric }: IpRoute,
  { dev, gateway, via, flags }: IpHop,
): Route {
  const hop = gateway !== undefined
    ? ["via", gateway]
    : via !== undefined
    ? ["via", via.family, via.host]
    : [];
  const source = prefsrc === undefined ? undefined : parseIp(prefsrc);
  return {
    to: dst === "default" ? EVERYWHERE : parseCidr(dst.includes("/") ? dst : `${dst}/32`)!,
    // `ip route` leaves the main table out.
    table: table === undefined ? Table.main : Number(table),
    ...(dev !== undefined && { device: dev }),
    ...(type === PROHIBIT && { prohibits: true as const }),
    via: flags?.includes("onlink") ? [...hop, "onlink"] : hop,
    ...(gateway !== undefined && { gateway: parseIp(gateway)! }),
    ...(source !== undefined && { source }),
    metric: metric ?? 0,
  };
}
