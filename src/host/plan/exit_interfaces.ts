/**
 * The interfaces that routers leave the host by, and the changes that make a router's packets leave
 * there and the answers come back.
 *
 * @module
 */
import type { ExitChoice, Settings } from "../../config/settings.ts";
import { ConfigError, ExitCode, OperatorError } from "../../errors.ts";
import { formatIp, type IpAddress, isLoopback } from "../../ip/address.ts";
import { type Cidr, EVERYWHERE, formatCidr, network, parseCidr } from "../../ip/cidr.ts";
import { command } from "./action.ts";
import { planAddress, planUp, refuseTakenBlock, sourceBy, sourceOf } from "./addresses.ts";
import type { Change } from "./change.ts";
import type { FirewallRules } from "./firewall.ts";
import { planLooseFilter, planNoFilter } from "./reverse_path.ts";
import { byPreference, defaultRoute, isRefusal, planRefusal, planRoute, wordOf } from "./routes.ts";
import { CAPTURE_MARK, findRule, hex, planRule } from "./rules.ts";
import { type HostState, type Interface, type Route, Table } from "./state.ts";

/** The interface that one router leaves by. */
export interface ExitInterface {
  /** The router's number, from 1. */
  readonly router: number;
  readonly device: string;
  /** The source address of packets that leave. */
  readonly address: IpAddress;
  /**
   * The next hop in the words of `ip route`, e.g. `via 192.168.201.1`; empty on a point-to-point
   * link. Undefined if the interface has no gateway: then the main table decides which interface
   * the packets leave by, and only their source address is this one's.
   */
  readonly via: string | undefined;
  /** The mark of packets that leave. A rule tells them from the host's own by it. */
  readonly mark: number;
  /** Whether the address is the captured one, so that the host's own packets have it too. */
  readonly isCaptured: boolean;
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
      ExitCode.hostLacks,
    );
  }
  return names.map(() => ({ interface: device, gateway: undefined }));
}

function resolveExit(
  settings: Settings,
  router: number,
  { interface: named, gateway }: ExitChoice,
  from: IpAddress | undefined,
  state: HostState,
): ExitInterface {
  const elsewhere = "name another with --exit";
  if (named === settings.tun) throw new OperatorError(`exit ${named} is the tunnel itself`, elsewhere);
  const is = state.interfaces.find(({ name, otherNames = [] }) =>
    name === named || otherNames.includes(named)
  );
  if (is === undefined) throw new OperatorError(`there is no exit interface ${named}`, elsewhere);
  const device = is.name;
  const own = settings.table * 100 + router;
  const way = gateway === undefined ? findWay(is, own, state) : throughGateway(device, gateway);
  const source = way.route === undefined
    ? sourceOf(is, way.gateway)?.address
    : sourceBy(way.route, is, state);
  const block = source === undefined
    ? parseCidr(`192.168.20${router}.2/24`)!
    : is.addresses.find(({ address }) => address === source);
  if (source === undefined) refuseTakenBlock(device, block!, state, `give ${device} an address of its own`);
  const address = source ?? block!.address;
  const coming = source === undefined ? [block!] : is.isUp ? [] : is.addresses;
  const table = way.words === undefined ? Table.main : own;
  // Other runs have other tables, so their routers have other marks.
  const mark = CAPTURE_MARK + (own & 0x7fff);
  return {
    router,
    device,
    address,
    via: way.words?.join(" "),
    mark,
    isCaptured: address === from,
    changes: [
      // An address on another interface, e.g. the loopback, serves as it is.
      ...(block === undefined ? [] : [planAddress(device, block, is)]),
      planUp(device, is),
      ...(way.words === undefined
        ? []
        : planTable(device, coming, way.words, gateway === undefined, table, state.routes)),
      planMark(settings, router, mark, table, from, state),
      // The host's own way to the world leads elsewhere, so a strict filter would drop the answers.
      block === undefined && way.device === device && is.addresses.length === 0
        ? planNoFilter(device, state)
        : planLooseFilter(way.device, state, false),
    ],
  };
}

/**
 * The rule for the packets of one router. It tells them by their mark, so that the host's own
 * packets from the same address go their usual way, and the router's do not loop into the tunnel.
 */
function planMark(
  settings: Settings,
  router: number,
  mark: number,
  table: number,
  from: IpAddress | undefined,
  { rules }: HostState,
): Change {
  // A capturing rule that was added by hand may have another priority.
  const capturing = from === undefined ? undefined : findRule({ from }, settings.table, rules)?.priority;
  const before = Math.min(capturing ?? settings.priority, settings.priority);
  return planRule(
    `rule for router ${router}'s packets to table ${table}`,
    { mark },
    table,
    before - 1,
    rules,
    before,
  );
}

/** Keeps the routers' packets out of the tunnel even while their routing rules are gone. */
export function loopRules(tun: string, exits: readonly ExitInterface[]): FirewallRules {
  const marks = exits.map(({ mark }) => hex(mark));
  if (marks.length === 0) return { nft: [], iptables: [] };
  return {
    nft: [
      `chain loops { type filter hook output priority filter; ` +
      `oifname "${tun}" meta mark { ${marks.join(", ")} } drop; };`,
    ],
    iptables: marks.map((mark) => ({
      what: `firewall rule against loops of packets marked ${mark}`,
      table: "filter",
      words: ["OUTPUT", "-o", tun, "-m", "mark", "--mark", mark, "-j", "DROP"],
    })),
  };
}

/**
 * The table of one exit: the neighbours of its interface, and its gateway for everything else. The
 * main table's other routes, e.g. a VPN's, must not lead its packets elsewhere.
 */
function planTable(
  device: string,
  coming: readonly Cidr[],
  words: readonly string[],
  isFollowed: boolean,
  table: number,
  routes: readonly Route[],
): Change[] {
  const neighbours = new Set([
    ...routes.filter((route) => route.table === Table.main && isToNeighbours(route, device))
      .map(({ to }) => wordOf(to)),
    ...coming.filter(({ prefix }) => prefix < 32)
      .map((block) => wordOf({ address: network(block), prefix: block.prefix })),
  ]);
  const isDefault = (route: Route) =>
    route.to.prefix === 0 && route.device === device && route.via.join(" ") === words.join(" ");
  const isNeighbours = (route: Route) => isToNeighbours(route, device) && neighbours.has(wordOf(route.to));
  const inTable = routes.filter((route) => route.table === table);
  const isThere = inTable.some(isDefault);
  const foreign = inTable.find((route) =>
    !isDefault(route) && !isNeighbours(route) && !isRefusal(route, EVERYWHERE, table) &&
    (!isThere || route.to.prefix === 0)
  );
  if (foreign !== undefined) {
    throw new OperatorError(
      `table ${table} is in use: it leads ${formatCidr(foreign.to)} to ${foreign.device ?? "nowhere"}`,
      "choose another with --table",
    );
  }
  return [
    ...[...neighbours].map((block) =>
      planRoute(
        `route to neighbours ${block} of ${device} in table ${table}`,
        [block, "dev", device, "table", `${table}`],
        {
          table,
          device,
          is: (route) => route.table === table && isToNeighbours(route, device) && wordOf(route.to) === block,
        },
        routes,
      )
    ),
    planDefaultRoute(device, words, isFollowed, table, routes),
    planRefusal(EVERYWHERE, table, routes),
  ];
}

/**
 * The default route of an exit.
 *
 * @param isFollowed whether the routing tables name the gateway, which may be replaced during a run
 */
function planDefaultRoute(
  device: string,
  words: readonly string[],
  isFollowed: boolean,
  table: number,
  routes: readonly Route[],
): Change {
  const where = ["dev", device, "table", `${table}`];
  const is = (route: Route) =>
    route.table === table && route.to.prefix === 0 && route.device === device &&
    route.via.join(" ") === words.join(" ");
  const what = `default route of ${device} in table ${table}`;
  return {
    ...planRoute(what, [wordOfAll(words), ...words, ...where], { table, device, is }, routes),
    // Whatever its gateway is by then.
    undo: command("ip", "route", "delete", "default", ...where),
    ...(isFollowed && {
      now: ({ routes }) => {
        const via = defaultRoutes(device, table, routes)[0]?.via ?? words;
        if (via.join(" ") === words.join(" ")) {
          return planDefaultRoute(device, words, isFollowed, table, routes);
        }
        return {
          ...planDefaultRoute(device, via, isFollowed, table, routes),
          what: `${what}, now ${via.join(" ")}`,
          make: command("ip", "route", "replace", wordOfAll(via), ...via, ...where),
        };
      },
    }),
  };
}

/**
 * The word for all destinations. `ip` takes "default" for a route of the gateway's family, which
 * may be IPv6 (RFC 5549).
 */
function wordOfAll(via: readonly string[]): string {
  return via.includes("inet6") ? "0.0.0.0/0" : "default";
}

/** The default routes by an interface, the best first. Those in the exit's own table come last. */
function defaultRoutes(name: string, own: number, routes: readonly Route[]): Route[] {
  return routes.filter(({ to, device }) => to.prefix === 0 && device === name).toSorted((a, b) =>
    Number(a.table === own) - Number(b.table === own) || byPreference(a, b)
  );
}

function isToNeighbours({ to, device, via }: Route, name: string): boolean {
  return device === name && to.prefix > 0 && via.length === 0;
}

/** The way out of an interface. */
interface Way {
  /**
   * The next hop in the words of `ip route`; empty on a point-to-point link, which needs no
   * gateway. Undefined if the main table decides.
   */
  readonly words: readonly string[] | undefined;
  readonly gateway: IpAddress | undefined;
  /** The interface that packets leave by. */
  readonly device: string;
  /** The route that has it already. */
  readonly route?: Route;
}

function throughGateway(device: string, gateway: IpAddress): Way {
  return { words: ["via", formatIp(gateway)], gateway, device };
}

/**
 * The way of an interface's default route: the one in the main table, else in any other table, the
 * exit's own last. Without one, packets with the interface's address follow the main table.
 *
 * @throws {OperatorError} if there is no way
 */
function findWay(
  { name, isPointToPoint, addresses }: Interface,
  own: number,
  { routes }: HostState,
): Way {
  const [route] = defaultRoutes(name, own, routes);
  if (route !== undefined) return { words: route.via, gateway: route.gateway, device: name, route };
  if (isPointToPoint) return { words: [], gateway: undefined, device: name };
  const device = defaultRoute(routes)?.device;
  if (device !== undefined && addresses.some(({ address }) => !isLoopback(address))) {
    return { words: undefined, gateway: undefined, device };
  }
  throw new OperatorError(
    `exit ${name} has no gateway in the routing tables`,
    `name it: --exit ${name}@GATEWAY`,
    ExitCode.hostLacks,
  );
}
