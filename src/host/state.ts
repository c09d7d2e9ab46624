/**
 * What the host's network is like, as `ip -json` tells it.
 *
 * @module
 */
import { parseIpv4 } from "../config/cidr.ts";
import type { Cidr } from "../wire/cidr.ts";
import { execute, readSysctl } from "./execute.ts";

/** An interface with its IPv4 addresses. */
export interface Interface {
  readonly name: string;
  readonly isUp: boolean;
  readonly mtu: number;
  readonly addresses: readonly Cidr[];
}

/** A policy routing rule, as `ip rule` lists it. */
export interface Rule {
  readonly priority: number;
  /** Source address, or `all`. */
  readonly src: string;
  readonly table?: string;
  readonly fwmark?: string;
}

/** A route, as `ip route` lists it. */
export interface Route {
  /** Destination, or `default`. */
  readonly dst: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly table?: string;
  readonly metric?: number;
}

/** The host's network. */
export interface HostState {
  readonly interfaces: readonly Interface[];
  readonly rules: readonly Rule[];
  readonly routes: readonly Route[];
  /** What a sysctl is set to. */
  readonly sysctl: (name: string) => string | undefined;
}

interface IpAddress {
  readonly family: string;
  readonly local: string;
  readonly prefixlen: number;
}

interface IpLink {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly addr_info: readonly IpAddress[];
}

/** Asks for everything. */
export async function readHostState(): Promise<HostState> {
  const [interfaces, rules, routes] = await Promise.all([
    readInterfaces(),
    execute(["ip", "-N", "-json", "-4", "rule", "show"]),
    execute(["ip", "-N", "-json", "-4", "route", "show", "table", "all"]),
  ]);
  return { interfaces, rules: parseList<Rule>(rules), routes: parseList<Route>(routes), sysctl: readSysctl };
}

/** Asks for the interfaces. */
export async function readInterfaces(): Promise<Interface[]> {
  return parseList<IpLink>(await execute(["ip", "-json", "address", "show"])).map((link) => ({
    name: link.ifname,
    isUp: link.flags.includes("UP"),
    mtu: link.mtu,
    addresses: link.addr_info.filter((address) => address.family === "inet").map((address) => ({
      address: parseIpv4(address.local)!,
      prefix: address.prefixlen,
    })),
  }));
}

/** `ip -json` prints nothing at all for an empty list, or a list with empty objects. */
function parseList<T>(json: string): T[] {
  return json.trim() === ""
    ? []
    : (JSON.parse(json) as T[]).filter((item) => Object.keys(item as object).length > 0);
}
