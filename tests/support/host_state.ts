/**
 * Hosts made by hand, for tests of what would be changed on them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { FLAGS } from "../../src/config/options.ts";
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

/** The settings of a stage, 3 unless said otherwise; options by name, as they would be written. */
export function settingsOf(options: Partial<Record<keyof typeof FLAGS, string>> = {}): Settings {
  const given = Object.entries({ stage: "3", ...options }).map(([name, text]) => {
    return [name, { text, name: FLAGS[name as keyof typeof FLAGS].flag, at: "" }];
  });
  return validate(Object.fromEntries(given));
}

/** A network card that is up, with these addresses, and what is different about it. */
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

/** A TUN interface that somebody has made by hand, and nobody has attached to. */
export function tunByHand(name: string, addresses: string[], but: Partial<Interface> = {}): Interface {
  return card(name, addresses, { kind: "tun", isPointToPoint: true, hasCarrier: false, ...but });
}

/**
 * A route, as in `default via 10.0.2.2 dev eth0 table 9 metric 100`, or `prohibit 18.0.0.0/8 table
 * 9 metric 4096`.
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

/** A rule, as in `8: from 10.0.2.15 table 9`. */
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

/** A host with these parts. Its reverse path filters are off unless told otherwise. */
export function host(
  { interfaces = [], rules = [], routes = [], sysctls = {}, held = [] }: {
    interfaces?: Interface[];
    rules?: Rule[];
    routes?: string[];
    sysctls?: Record<string, string>;
    held?: [string, number][];
  },
): HostState {
  return {
    interfaces: [card("lo", ["127.0.0.1/8"]), ...interfaces],
    rules: [...KERNEL_RULES, ...rules].toSorted((a, b) => a.priority - b.priority),
    routes: routes.map(route),
    sysctl: (name) => sysctls[name],
    held: new Map(held),
  };
}

/** The virtual machine of the course: eth0 to the world, eth1 to it as well. */
export const TWO_CARDS = {
  interfaces: [card("eth0", ["10.0.2.15/24"]), card("eth1", ["192.168.201.2/24"])],
  routes: [
    "default via 10.0.2.2 dev eth0",
    "default via 192.168.201.1 dev eth1 metric 100",
    "10.0.2.0/24 dev eth0",
    "192.168.201.0/24 dev eth1",
  ],
};

/** A host with one card, and its own name for it. */
export const ONE_CARD = {
  interfaces: [card("ens3", ["203.0.113.7/24"])],
  routes: ["default via 203.0.113.1 dev ens3", "203.0.113.0/24 dev ens3"],
};

/** What stands on such a host once a run has been set up by hand, in the classic way. */
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

/** The plan of a run, whose process is 4711. */
export function plan(
  state: HostState,
  options: Parameters<typeof settingsOf>[0] = {},
  tool: FirewallTool | undefined = "nft",
): HostPlan {
  return planHost(settingsOf(options), state, 4711, tool);
}

/** Makes sure that no run can be planned, and why. */
export function refuses(
  state: HostState,
  options: Parameters<typeof settingsOf>[0],
  message: string,
  remedy: string,
): void {
  assert.throws(() => plan(state, options), new OperatorError(message, remedy));
}

/** What is to be made, as somebody would type it. */
export function commands(changes: readonly Change[]): string[] {
  return changes.map(({ make }) => show(toWords(make)));
}

/** What undoes it, last things first. */
export function undoing(changes: readonly Change[]): string[] {
  return changes.map(({ undo }) => show(toWords(undo))).toReversed();
}
