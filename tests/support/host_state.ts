/**
 * Hosts made by hand, for tests of changes to them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { flagOf, type FLAGS } from "../../src/config/options.ts";
import type { Settings } from "../../src/config/settings.ts";
import { validate } from "../../src/config/validate.ts";
import { OperatorError } from "../../src/errors.ts";
import type { FirewallTool } from "../../src/host/plan/firewall.ts";
import type { Change } from "../../src/host/plan/change.ts";
import { show, toWords } from "../../src/host/plan/action.ts";
import { type HostPlan, planHost } from "../../src/host/host_plan.ts";
import type { HostState, Interface, Route, Rule } from "../../src/host/plan/state.ts";
import { parseIp } from "../../src/ip/address.ts";
import { EVERYWHERE, parseCidr } from "../../src/ip/cidr.ts";

/** The settings of a stage, by default 3. Options are written as by a user. */
export function settingsOf(options: Partial<Record<keyof typeof FLAGS, string>> = {}): Settings {
  const given = Object.entries({ stage: "3", ...options }).map(([name, text]) => {
    return [name, { text, name: flagOf(name), at: "" }];
  });
  return validate(Object.fromEntries(given));
}

/** A network card that is up, with these addresses and changes. */
export function card(name: string, addresses: string[], but: Partial<Interface> = {}): Interface {
  const isUp = but.isUp ?? true;
  const blocks = addresses.map((text) => parseCidr(text)!);
  return {
    name,
    isUp,
    hasCarrier: isUp,
    isPointToPoint: false,
    mtu: 1500,
    addresses: blocks,
    ...but,
  };
}

/** A TUN interface made by hand, to which nothing is attached. */
export function tunByHand(name: string, addresses: string[], but: Partial<Interface> = {}): Interface {
  return card(name, addresses, { kind: "tun", isPointToPoint: true, hasCarrier: false, ...but });
}

/**
 * Parses a route, e.g. `default via 10.0.2.2 dev eth0 table 9 metric 100` or `prohibit 18.0.0.0/8
 * table 9 metric 4096`.
 */
function route(text: string): Route {
  const prohibits = text.startsWith("prohibit ");
  const [to = "", ...words] = text.replace(/^prohibit /, "").split(" ");
  const after = (word: string) => words[words.indexOf(word) + 1];
  const has = (word: string) => words.includes(word);
  const gateway = has("via") ? after("via")! : undefined;
  const via = gateway === undefined ? [] : ["via", gateway];
  return {
    to: to === "default" ? EVERYWHERE : parseCidr(to.includes("/") ? to : `${to}/32`)!,
    table: has("table") ? Number(after("table")) : 254,
    ...(has("dev") && { device: after("dev")! }),
    ...(prohibits && { prohibits }),
    via: has("onlink") ? [...via, "onlink"] : via,
    ...(gateway !== undefined && { gateway: parseIp(gateway)! }),
    ...(has("src") && { source: parseIp(after("src")!)! }),
    metric: has("metric") ? Number(after("metric")) : 0,
  };
}

/** Parses a rule, e.g. `8: from 10.0.2.15 table 9`. */
export function rule(text: string, ...others: string[]): Rule {
  const [, priority, src, fwmark, table] = /^(\d+): from (\S+)(?: fwmark (\S+))?(?: table (\d+))?$/.exec(
    text,
  )!;
  return {
    priority: Number(priority),
    src: src!,
    ...(fwmark !== undefined && { fwmark }),
    ...(table !== undefined && { table: Number(table) }),
    others,
  };
}

/** The rules that every host has. */
const KERNEL_RULES: readonly Rule[] = [
  rule("0: from all table 255"),
  rule("32766: from all table 254"),
  rule("32767: from all table 253"),
];

/** A host with these parts, and without reverse path filters unless given. */
export function host(
  { interfaces = [], rules = [], routes = [], sysctls = {}, held = [], closed = [] }: {
    interfaces?: Interface[];
    rules?: Rule[];
    routes?: string[];
    sysctls?: Record<string, string>;
    held?: [string, number][];
    closed?: string[];
  },
): HostState {
  return {
    interfaces: [card("lo", ["127.0.0.1/8"]), ...interfaces],
    rules: [...KERNEL_RULES, ...rules].toSorted((a, b) => a.priority - b.priority),
    routes: routes.map(route),
    sysctl: (name) => sysctls[name],
    held: new Map(held),
    closed: new Set(closed),
  };
}

/** The virtual machine of the course: eth0 and eth1 lead to the world. */
export const TWO_CARDS = {
  interfaces: [card("eth0", ["10.0.2.15/24"]), card("eth1", ["192.168.201.2/24"])],
  routes: [
    "default via 10.0.2.2 dev eth0",
    "default via 192.168.201.1 dev eth1 metric 100",
    "10.0.2.0/24 dev eth0",
    "192.168.201.0/24 dev eth1",
  ],
};

/** A host with one card of an unusual name. */
export const ONE_CARD = {
  interfaces: [card("ens3", ["203.0.113.7/24"])],
  routes: ["default via 203.0.113.1 dev ens3", "203.0.113.0/24 dev ens3"],
};

/** The parts of such a host after a run was set up by hand, in the classic way. */
export const BY_HAND = {
  interfaces: [...TWO_CARDS.interfaces, tunByHand("tun1", ["10.5.51.2/24"])],
  routes: [
    ...TWO_CARDS.routes,
    "10.5.51.0/24 dev tun1",
    "18.0.0.0/8 dev tun1 table 9",
    "128.0.0.0/8 dev tun1 table 9",
  ],
  rules: [rule("8: from 10.0.2.15 table 9")],
};

/** The plan of a run with process id 4711. */
export function plan(
  state: HostState,
  options: Parameters<typeof settingsOf>[0] = {},
  tool: FirewallTool | undefined = "nft",
): HostPlan {
  return planHost(settingsOf(options), state, 4711, tool);
}

/** Asserts that no run can be planned, and the reason. */
export function refuses(
  state: HostState,
  options: Parameters<typeof settingsOf>[0],
  message: string,
  remedy: string,
): void {
  assert.throws(() => plan(state, options), new OperatorError(message, remedy));
}

/** The commands of a plan, as a user would type them. */
export function commands(changes: readonly Change[]): string[] {
  return changes.map(({ make }) => show(toWords(make)));
}

/** The commands that undo it, last things first. */
export function undoing(changes: readonly Change[]): string[] {
  return changes.map(({ undo }) => show(toWords(undo))).toReversed();
}
