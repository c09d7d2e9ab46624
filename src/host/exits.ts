/**
 * The exit interfaces: which router leaves the host by which, and what must be changed for its packets to leave
 * there and their answers to come back.
 *
 * @module
 */
import { formatCidr, parseCidr, parseIpv4 } from "../config/cidr.ts";
import type { ExitChoice, Settings } from "../config/settings.ts";
import { OperatorError } from "../errors.ts";
import type { Cidr } from "../wire/cidr.ts";
import { formatIpv4 } from "../wire/ipv4.ts";
import { CAPTURE_MARK } from "./capture.ts";
import type { Change } from "./change.ts";
import { planLooseFilter } from "./reverse_path.ts";
import type { HostState, Interface, Route } from "./state.ts";

/** An exit, resolved. */
export interface HostExit {
  /** The router that leaves by it, from 1. */
  readonly router: number;
  readonly device: string;
  /** The source of what leaves. */
  readonly address: number;
  /** Bytes of the longest packet that the interface takes. */
  readonly mtu: number;
  /** The mark of what leaves where the address is the captured one, and a rule must tell the two apart; else 0. */
  readonly mark: number;
  /** What must be changed for it. */
  readonly changes: readonly Change[];
}

/** The main routing table, as `ip -N` names it in rules. */
const MAIN = "254";

/**
 * Chooses an exit for each router.
 *
 * @param from whose packets are captured
 * @throws {OperatorError} where an interface or its gateway is missing
 */
export function resolveExits(settings: Settings, from: number, state: HostState): HostExit[] {
  const choices = settings.exit ?? chooseExits(settings.routers, state);
  if (choices.length < settings.routers) {
    throw new OperatorError(
      `--exit names ${choices.length} interfaces for ${settings.routers} routers`,
      "name one for each",
    );
  }
  return choices.slice(0, settings.routers).map((choice, index) =>
    resolveExit(settings, index + 1, choice, from, state)
  );
}

/** Whose packets are captured: the one that was named, else the address of the default route's interface. */
export function resolveFrom(settings: Settings, { interfaces, routes }: HostState): number {
  const has = (address: number) =>
    interfaces.some((each) => each.addresses.some((own) => own.address === address));
  if (settings.from !== undefined) {
    if (has(settings.from)) return settings.from;
    throw new OperatorError(
      `--from ${formatIpv4(settings.from)} is no address of this host`,
      "choose one that `ip address` lists",
    );
  }
  const device = defaultRoute(routes)?.dev;
  const address = interfaces.find((each) => each.name === device)?.addresses[0]?.address;
  if (address !== undefined) return address;
  throw new OperatorError(
    "this host has no default route, so it is unclear whose packets to capture",
    "name the address with --from",
  );
}

/** eth1, eth2, … where they exist, else the default route's interface for all. */
function chooseExits(count: number, { interfaces, routes }: HostState): ExitChoice[] {
  const names = Array.from({ length: count }, (_, index) => `eth${index + 1}`);
  if (names.every((name) => interfaces.some((each) => each.name === name))) {
    return names.map((name) => ({ interface: name, gateway: undefined }));
  }
  const device = defaultRoute(routes)?.dev;
  if (device === undefined) {
    throw new OperatorError(
      "there is neither eth1 nor a default route to leave by",
      "name an exit with --exit",
    );
  }
  return names.map(() => ({ interface: device, gateway: undefined }));
}

function resolveExit(
  settings: Settings,
  router: number,
  choice: ExitChoice,
  from: number,
  state: HostState,
): HostExit {
  const device = choice.interface;
  const is = state.interfaces.find((each) => each.name === device);
  if (is === undefined) {
    throw new OperatorError(`there is no exit interface ${device}`, "name another with --exit");
  }
  const own = is.addresses[0];
  const block = own ?? parseCidr(`192.168.20${router}.2/24`)!;
  const exit = { router, device, address: block.address, mtu: is.mtu };
  if (block.address === from) {
    return { ...exit, mark: CAPTURE_MARK + router, changes: planShared(settings, router, device, state) };
  }
  const changes = [
    ...(own === undefined ? [planAddress(device, block)] : []),
    ...(is.isUp ? [] : [planUp(device)]),
    ...planOwn(settings, router, is, block, choice.gateway, state),
  ];
  return { ...exit, mark: 0, changes };
}

/** An exit by an address of its own: its packets take their own table, and so do the answers' reverse path checks. */
function planOwn(
  settings: Settings,
  router: number,
  { name: device }: Interface,
  block: Cidr,
  given: number | undefined,
  state: HostState,
): Change[] {
  const gateway = given === undefined ? findGateway(device, state.routes) : formatIpv4(given);
  if (gateway === undefined) {
    throw new OperatorError(
      `exit ${device} has no gateway in the routing tables`,
      `name it: --exit ${device}@GATEWAY`,
    );
  }
  const table = String(settings.table * 100 + router);
  const priority = String(settings.priority - 1);
  const source = formatIpv4(block.address);
  const changes: Change[] = [];
  const route = state.routes.find((each) => each.table === table && each.dst === "default");
  if (route === undefined) {
    const words = ["default", "via", gateway, "dev", device, "table", table] as const;
    changes.push({
      what: `default route of ${device} in table ${table}`,
      make: ["ip", "route", "add", ...words],
      undo: ["ip", "route", "delete", ...words],
    });
  } else if (route.dev !== device || route.gateway !== gateway) {
    throw new OperatorError(
      `table ${table} is in use: it has a default route by ${route.dev ?? route.gateway}`,
      "choose another table with --table",
    );
  }
  if (!state.rules.some((rule) => rule.src === source && rule.table === table)) {
    const words = ["from", source, "table", table, "priority", priority] as const;
    changes.push({
      what: `rule from ${source} to table ${table}`,
      make: ["ip", "rule", "add", ...words],
      undo: ["ip", "rule", "delete", ...words],
    });
  }
  return changes;
}

/** An exit by the captured address itself: a mark keeps the router's packets out of the tunnel. */
function planShared(settings: Settings, router: number, device: string, state: HostState): Change[] {
  const mark = `0x${(CAPTURE_MARK + router).toString(16)}`;
  const changes: Change[] = [];
  if (!state.rules.some((rule) => rule.fwmark === mark && rule.table === MAIN)) {
    const words = ["fwmark", mark, "table", "main", "priority", String(settings.priority - 1)] as const;
    changes.push({
      what: `rule for router ${router}'s packets past the tunnel`,
      make: ["ip", "rule", "add", ...words],
      undo: ["ip", "rule", "delete", ...words],
    });
  }
  // An answer from the world comes in by this interface, while the captured address's way back leads into the tunnel.
  return [...changes, ...planLooseFilter(device, state, false)];
}

function planAddress(device: string, block: Cidr): Change {
  const cidr = formatCidr(block);
  return {
    what: `address ${cidr} on ${device}`,
    make: ["ip", "address", "add", cidr, "dev", device],
    undo: ["ip", "address", "delete", cidr, "dev", device],
  };
}

function planUp(device: string): Change {
  return {
    what: `${device} up`,
    make: ["ip", "link", "set", device, "up"],
    undo: ["ip", "link", "set", device, "down"],
  };
}

/** The default route that the kernel prefers: the one of the lowest metric in the main table. */
function defaultRoute(routes: readonly Route[]): Route | undefined {
  return byMetric(routes.filter((route) => route.dst === "default" && isMain(route)))[0];
}

/** The gateway of an interface's default route, in the main table or any other. */
function findGateway(device: string, routes: readonly Route[]): string | undefined {
  const mine = routes.filter((route) =>
    route.dst === "default" && route.dev === device && route.gateway !== undefined &&
    parseIpv4(route.gateway) !== undefined
  );
  return (byMetric(mine.filter(isMain))[0] ?? mine[0])?.gateway;
}

function byMetric(routes: readonly Route[]): Route[] {
  return routes.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
}

/** `ip route` does not name the main table. */
function isMain({ table }: Route): boolean {
  return table === undefined || table === MAIN;
}
