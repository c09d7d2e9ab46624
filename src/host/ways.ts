/**
 * The ways of a run's packets: what is captured goes into the tunnel, and what a router sends
 * leaves by its exit. The kernel is asked, because somebody else's rules may come before ours.
 *
 * @module
 */
import type { Settings } from "../config/settings.ts";
import { ExitCode, OperatorError } from "../errors.ts";
import type { ExitSettings } from "../exit/registry.ts";
import { formatIp, type IpAddress } from "../ip/address.ts";
import { addressAt, type Cidr, contains, formatCidr, hopOf, network, overlaps } from "../ip/cidr.ts";
import { type RouteAnswer, type RouteQuestion, RouteSocket } from "../sys/route_query.ts";
import { unboundTable } from "./plan/capture.ts";
import type { RouterExit } from "./plan/exit_plan.ts";
import { matches } from "./plan/priority.ts";
import { nameOf as nameOfRoute } from "./plan/routes.ts";
import { type HostState, type Route, type Rule, Table } from "./plan/state.ts";
import type { Say } from "./upkeep.ts";

/** Packets that must leave by one interface. */
export interface Way {
  /** E.g. `packets from 10.0.2.15`. */
  readonly packets: string;
  /** The question, without a destination. */
  readonly of: Omit<RouteQuestion, "to">;
  readonly to: readonly Cidr[];
  /** The interface that they must leave by; with `avoids`, the one that they must not leave by. */
  readonly device: string;
  readonly avoids?: true;
  /** The table and the priority of the rule that leads them there. */
  readonly table: number;
  readonly priority: number;
}

/** The reason why packets do not go their way. */
export interface Obstacle {
  /** Whether the packets leave by another interface, or not at all. */
  readonly kind: "elsewhere" | "refused";
  readonly message: string;
  readonly remedy: string;
  /** Whether it is in the way whatever rule of ours follows. */
  readonly comesFirst: boolean;
}

/** The interface that packets of this host to itself pass through. */
const LOOPBACK = "lo";

/** Max blocks of others inside the captured ones that the kernel is asked about. */
const MOST_BLOCKS = 64;

/**
 * The ways that a run needs.
 *
 * @param from the address whose packets are captured; undefined in a stage that captures nothing
 */
export function waysOf(
  settings: Settings,
  from: IpAddress | undefined,
  exits: readonly RouterExit<ExitSettings>[],
): Way[] {
  const { tun: device, capture, table, priority, address } = settings;
  if (from === undefined) {
    const to = [{ address: hopOf(address), prefix: 32 }];
    return [{ packets: "packets", of: {}, to, device, table: Table.main, priority: Infinity }];
  }
  const into = { to: capture, device, table, priority };
  return [
    { ...into, packets: `packets from ${formatIp(from)}`, of: { from } },
    { ...into, packets: "packets of sockets without an address", of: {}, table: unboundTable(settings) },
    ...exits.map(({ leaves }) => leaves).filter((each) => each !== undefined).map((exit) => ({
      packets: `router ${exit.router}'s packets from ${formatIp(exit.address)}`,
      of: { from: exit.address, mark: exit.mark },
      to: capture,
      priority: priority - 1,
      // Without a gateway, the main table decides.
      ...(exit.via === undefined
        ? { device, avoids: true as const, table: Table.main }
        : { device: exit.device, table: 100 * table + exit.router }),
    })),
  ];
}

/** Asks the kernel about ways, and tells of what is in the way. */
export class Ways {
  readonly #ways: readonly Way[];
  readonly #find: typeof findObstacles;
  /** The obstacles that the operator knows. */
  #known: readonly string[] = [];

  /**
   * @param ways what a run needs
   * @param find asks the kernel
   */
  constructor(ways: readonly Way[], find: typeof findObstacles = findObstacles) {
    this.#ways = ways;
    this.#find = find;
  }

  /**
   * Makes sure that all packets go their way.
   *
   * @throws {OperatorError} with what is in the way
   */
  require(state: HostState): void {
    const [first] = this.#find(this.#ways, state);
    if (first === undefined) return;
    const { kind, message, remedy } = first;
    throw new OperatorError(message, remedy, kind === "refused" ? ExitCode.hostLacks : ExitCode.failed);
  }

  /**
   * The news for the operator after a change: each obstacle once, and when the last one is gone.
   * Refused packets are no news here, because they are told with their cause.
   */
  look(state: HostState): Say[] {
    const obstacles = this.#find(this.#ways, state).filter(({ kind }) => kind === "elsewhere");
    const texts = obstacles.map(({ message, remedy }) => `${message}: ${remedy}`);
    const news = texts.filter((text) => !this.#known.includes(text));
    const isClear = this.#known.length > 0 && texts.length === 0;
    this.#known = texts;
    return [
      ...news.map((text) => ({ level: "warn", text }) as const),
      ...(isClear ? [{ level: "info", text: "nothing is in the way of packets any more" } as const] : []),
    ];
  }
}

/** Asks the kernel about ways. Returns what is in the way, each cause once. */
export function findObstacles(ways: readonly Way[], state: HostState): Obstacle[] {
  using socket = new RouteSocket();
  return obstaclesBy((question) => socket.ask(question), ways, state);
}

/**
 * Finds what is in the way, each cause once.
 *
 * @param ask asks the kernel
 */
export function obstaclesBy(
  ask: (question: RouteQuestion) => RouteAnswer,
  ways: readonly Way[],
  state: HostState,
): Obstacle[] {
  const found = new Map<string, Obstacle>();
  for (const way of ways) {
    for (const to of destinations(way, state)) {
      const obstacle = judge(way, to, ask({ ...way.of, to }), state);
      // The first packet stands for the others that the same rule or route leads astray.
      if (obstacle !== undefined && !found.has(obstacle.remedy)) found.set(obstacle.remedy, obstacle);
    }
  }
  return [...found.values()];
}

/**
 * An address of each block, and of each block inside that other rules and routes know: they may
 * lead only a part elsewhere.
 */
function destinations({ to: blocks, table }: Way, { rules, routes }: HostState): IpAddress[] {
  const isInside = (inner: Cidr) =>
    blocks.some((block) => block.prefix < inner.prefix && overlaps(block, inner));
  const known = [
    ...rules.map((rule) => rule.to).filter((to) => to !== undefined),
    ...routes.filter((route) => route.table !== table && route.table !== Table.local).map(({ to }) => to),
  ].filter(isInside);
  return [...new Set([...blocks, ...known.slice(0, MOST_BLOCKS)].map(hostOf))];
}

/** The first address of a block that may be a host's. */
function hostOf(block: Cidr): IpAddress {
  return block.prefix < 31 ? addressAt(block, 1) : network(block);
}

/** Tells what is in the way of a packet, if its answer says that something is. */
export function judge(way: Way, to: IpAddress, answer: RouteAnswer, state: HostState): Obstacle | undefined {
  const packets = `${way.packets} to ${formatIp(to)}`;
  switch (answer.kind) {
    case "stays":
      return undefined;
    case "refused": {
      const { error } = answer;
      const rule = ruleTo(undefined, way, to, state);
      const message = `the kernel refuses ${packets} (${error})`;
      return error === "EACCES" && rule !== undefined
        ? { kind: "refused", message: `${message}, by ${show(rule)}`, ...remove(rule, way) }
        : {
          kind: "refused",
          message,
          remedy: "see `ip rule`, `ip address` and `ip route show table all`",
          comesFirst: false,
        };
    }
    case "leaves":
      if ((answer.device === way.device) !== (way.avoids === true)) return undefined;
      // Our own refusal of captured packets leads there, for the firewall to refuse them.
      if (answer.device === LOOPBACK && answer.table === way.table) {
        return {
          kind: "refused",
          message: `no route leads ${packets} to ${way.device}`,
          remedy: `see \`ip route show table ${nameOf(way.table)}\` and \`ip link\``,
          comesFirst: false,
        };
      }
      // A dead run's refusal stays until this run is ready, and is undone then.
      if (answer.device === LOOPBACK && isClosed(to, answer.table, state)) return undefined;
      return elsewhere(way, to, answer, state);
  }
}

/** Whether a table refuses such a packet because a dead run left its capture closed. */
function isClosed(to: IpAddress, table: number | undefined, state: HostState): boolean {
  const route = routeTo(to, LOOPBACK, table, state);
  return route !== undefined && state.closed.has(nameOfRoute(route));
}

function elsewhere(
  way: Way,
  to: IpAddress,
  { device, table }: Extract<RouteAnswer, { kind: "leaves" }>,
  state: HostState,
): Obstacle {
  const message = `${way.packets} to ${formatIp(to)} would leave by ${device}` +
    (way.avoids ? ", the tunnel itself" : ` and not by ${way.device}`);
  const rule = ruleTo(table, way, to, state);
  if (rule !== undefined && table !== way.table) {
    return { kind: "elsewhere", message: `${message}, because of ${show(rule)}`, ...remove(rule, way) };
  }
  const route = routeTo(to, device, table, state);
  if (route === undefined) {
    return { kind: "elsewhere", message, remedy: "see `ip rule` and `ip route`", comesFirst: false };
  }
  const words = `${formatCidr(route.to)} dev ${device} table ${nameOf(route.table)}`;
  return {
    kind: "elsewhere",
    message: `${message}, because of the route ${words}`,
    remedy: `remove it: ip route delete ${words}`,
    comesFirst: false,
  };
}

/** The first rule that leads such a packet to a table; `undefined` asks for one that refuses. */
function ruleTo(
  table: number | undefined,
  { of: { from, mark } }: Way,
  to: IpAddress,
  { rules }: HostState,
): Rule | undefined {
  return rules.toSorted((one, other) => one.priority - other.priority).find((rule) =>
    rule.table === table && matches(rule, from, mark) && (rule.to === undefined || contains(rule.to, to))
  );
}

/** The most specific route of a table that leads a packet to an interface. */
function routeTo(
  to: IpAddress,
  device: string,
  table: number | undefined,
  { routes }: HostState,
): Route | undefined {
  return routes
    .filter((route) => route.device === device && route.table === table && contains(route.to, to))
    .toSorted((one, other) => other.to.prefix - one.to.prefix || one.metric - other.metric)[0];
}

/** The remedy against a rule. */
function remove({ priority }: Rule, way: Way): Pick<Obstacle, "remedy" | "comesFirst"> {
  // Rules after ours are not in the way: one of ours is missing.
  if (priority > way.priority) return { remedy: "start again", comesFirst: false };
  const ours = priority > 2 ? `, or choose a --priority below ${priority}` : "";
  return { remedy: `remove that rule: ip rule delete priority ${priority}${ours}`, comesFirst: true };
}

/** A rule, as `ip rule` shows it. */
function show({ priority, src, to, fwmark, table, others }: Rule): string {
  const words = [
    ...(others.includes("not") ? ["not"] : []),
    ...["from", src],
    ...(to === undefined ? [] : ["to", formatCidr(to)]),
    ...(fwmark === undefined ? [] : ["fwmark", fwmark]),
    table === undefined ? "that refuses" : `lookup ${nameOf(table)}`,
  ];
  return `rule ${priority}: ${words.join(" ")}`;
}

/** The kernel's names of its own tables (rt_tables). */
function nameOf(table: number): string {
  return ({ 253: "default", [Table.main]: "main", [Table.local]: "local" } as Record<number, string>)[
    table
  ] ??
    `${table}`;
}
