/**
 * The interfaces that routers leave the host by, and the changes that make a router's packets leave
 * there and the answers come back.
 *
 * @module
 */
import type { ExitChoice, Settings } from "../../config/settings.ts";
import { ConfigError, OperatorError } from "../../errors.ts";
import { formatIp, type IpAddress } from "../../ip/address.ts";
import { formatCidr, parseCidr } from "../../ip/cidr.ts";
import { planAddress, planUp, refuseTakenBlock, sourceOf } from "./addresses.ts";
import type { Change } from "./change.ts";
import { planLooseFilter } from "./reverse_path.ts";
import { byPreference, defaultRoute, planRoute } from "./routes.ts";
import { CAPTURE_MARK, findRule, planRule } from "./rules.ts";
import { type HostState, type Interface, type Route, Table } from "./state.ts";

/** The interface that one router leaves by. */
export interface ExitInterface {
  /** The router's number, from 1. */
  readonly router: number;
  readonly device: string;
  /** The source address of packets that leave. */
  readonly address: IpAddress;
  /** MTU of the interface in bytes. */
  readonly mtu: number;
  /**
   * The next hop in the words of `ip route`, e.g. `via 192.168.201.1`; empty on a point-to-point
   * link.
   */
  readonly via: string;
  /**
   * The mark of packets that leave, if the address is the captured one and a rule must tell them
   * apart.
   */
  readonly mark?: number;
  /** The changes that it needs. */
  readonly changes: readonly Change[];
}

/**
 * Chooses an interface for each router.
 *
 * @param from the address whose packets are captured, if any
 * @throws {ConfigError} if `--exit` does not name one interface for each router
 * @throws {OperatorError} if an interface or its gateway is missing
 */
export function resolveExits(
  settings: Settings,
  from: IpAddress | undefined,
  state: HostState,
): ExitInterface[] {
  const choices = settings.exit ?? chooseExits(settings.routers, state);
  refuseMiscount(choices.length, settings.routers);
  return choices.map((choice, index) => resolveExit(settings, index + 1, choice, from, state));
}

/** An operator who names more or fewer exits than there are routers has misunderstood something. */
function refuseMiscount(names: number, routers: number): void {
  if (names === routers) return;
  const many = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  throw new ConfigError(
    `--exit names ${many(names, "interface")} for ${many(routers, "router")} to leave by`,
    routers === 1 ? "name one" : "name one for each; the same one may be named again",
  );
}

/** eth1, eth2, … if all of them exist, else the default route's interface for every router. */
function chooseExits(count: number, { interfaces, routes }: HostState): ExitChoice[] {
  const names = Array.from({ length: count }, (_, index) => `eth${index + 1}`);
  if (names.every((name) => interfaces.some((each) => each.name === name))) {
    return names.map((name) => ({ interface: name, gateway: undefined }));
  }
  const device = defaultRoute(routes)?.device;
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
  { interface: device, gateway }: ExitChoice,
  from: IpAddress | undefined,
  state: HostState,
): ExitInterface {
  const elsewhere = "name another with --exit";
  if (device === settings.tun) throw new OperatorError(`exit ${device} is the tunnel itself`, elsewhere);
  const is = state.interfaces.find((each) => each.name === device);
  if (is === undefined) throw new OperatorError(`there is no exit interface ${device}`, elsewhere);
  const way = gateway === undefined ? findWay(is, state.routes) : throughGateway(gateway);
  if (way === undefined) {
    throw new OperatorError(
      `exit ${device} has no gateway in the routing tables`,
      `name it: --exit ${device}@GATEWAY`,
    );
  }
  const own = sourceOf(is, way.gateway);
  const block = own ?? parseCidr(`192.168.20${router}.2/24`)!;
  if (own === undefined) refuseTakenBlock(device, block, state, `give ${device} an address of its own`);
  const exit = { router, device, address: block.address, mtu: is.mtu, via: way.words.join(" ") };
  const up = [planAddress(device, block, is), planUp(device, is)];
  const table = settings.table * 100 + router;
  if (exit.address === from) {
    const mark = CAPTURE_MARK + router;
    return { ...exit, mark, changes: [...up, ...planShared(settings, exit, mark, way, table, state)] };
  }
  return { ...exit, changes: [...up, ...planOwn(settings, exit, way, table, state)] };
}

/**
 * An exit with its own address has its own table, which the reverse path check of answers uses too.
 */
function planOwn(
  { priority }: Settings,
  { device, address }: Pick<ExitInterface, "device" | "address">,
  way: Way,
  table: number,
  { rules, routes }: HostState,
): Change[] {
  const what = `rule from ${formatIp(address)} to table ${table}`;
  return [
    planDefaultRoute(device, way, table, routes),
    planRule(what, { from: address }, table, priority - 1, rules),
  ];
}

/**
 * An exit with the captured address itself: only a mark keeps the router's packets out of the
 * tunnel.
 */
function planShared(
  settings: Settings,
  { router, device, address: from }: Pick<ExitInterface, "router" | "device" | "address">,
  mark: number,
  way: Way,
  table: number,
  state: HostState,
): Change[] {
  // A capturing rule that was added by hand may have another priority.
  const capturing = findRule({ from }, settings.table, state.rules)?.priority ?? settings.priority;
  const before = Math.min(capturing, settings.priority);
  const what = `rule for router ${router}'s packets past the tunnel`;
  const rule = (table: number) => planRule(what, { mark }, table, before - 1, state.rules, before);
  return [
    // The main table has routes to the neighbours too. Our own table is only for a way it does not
    // have.
    ...(way.table === Table.main
      ? [rule(Table.main)]
      : [planDefaultRoute(device, way, table, state.routes), rule(table)]),
    // Answers from the world come in by this interface, but the captured address's way back leads
    // into the tunnel.
    planLooseFilter(device, state, false),
  ];
}

function planDefaultRoute(device: string, way: Way, table: number, routes: readonly Route[]): Change {
  const isOurs = (route: Route) =>
    route.to.prefix === 0 && route.device === device && route.via.join(" ") === way.words.join(" ");
  const inTable = routes.filter((route) => route.table === table);
  const isThere = inTable.some(isOurs);
  const foreign = inTable.find((route) => !isOurs(route) && (!isThere || route.to.prefix === 0));
  if (foreign !== undefined) {
    throw new OperatorError(
      `table ${table} is in use: it leads ${formatCidr(foreign.to)} to ${foreign.device ?? "nowhere"}`,
      "choose another with --table",
    );
  }
  const words = ["default", ...way.words, "dev", device, "table", `${table}`];
  const is = (route: Route) => route.table === table && isOurs(route);
  return planRoute(`default route of ${device} in table ${table}`, words, { table, device, is }, routes);
}

/** The way out of an interface. */
interface Way {
  /** In the words of `ip route`; empty on a point-to-point link, which needs no gateway. */
  readonly words: readonly string[];
  readonly gateway: IpAddress | undefined;
  /** The table that has this route already. */
  readonly table: number | undefined;
}

function throughGateway(gateway: IpAddress): Way {
  return { words: ["via", formatIp(gateway)], gateway, table: undefined };
}

/** The way of an interface's default route: the one in the main table, else in any other table. */
function findWay({ name, isPointToPoint }: Interface, routes: readonly Route[]): Way | undefined {
  const mine = routes.filter(({ to, device }) => to.prefix === 0 && device === name).toSorted(byPreference);
  const [route] = mine;
  if (route !== undefined) return { words: route.via, gateway: route.gateway, table: route.table };
  return isPointToPoint ? { words: [], gateway: undefined, table: undefined } : undefined;
}
