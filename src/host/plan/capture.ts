/**
 * Capturing: leads the host's own packets to some destinations into the tunnel. Two barriers keep
 * them from leaving another way, and neither needs the other: rules with routes, and the firewall.
 *
 * ```
 *   from the captured address ─► rule ─► table 9     tun1, or else lo, where the firewall refuses
 *   from no address yet       ─► rule ─► table 900   tun1, with the captured address, or else refused
 *   an answer to a connection from outside, marked ─► rule ─► table main
 *   from the captured address, by another card, without our mark ─► firewall: refused
 * ```
 *
 * @module
 */
import type { Settings } from "../../config/settings.ts";
import { ExitCode, OperatorError } from "../../errors.ts";
import { formatIp, type IpAddress, UNSPECIFIED } from "../../ip/address.ts";
import { contains, formatCidr, overlaps } from "../../ip/cidr.ts";
import { sourceBy } from "./addresses.ts";
import type { Change } from "./change.ts";
import type { FirewallRules } from "./firewall.ts";
import { planLooseFilter } from "./reverse_path.ts";
import { defaultRoute, isRefusal, nameOf, planCapturingRoute, planRefusal } from "./routes.ts";
import { CAPTURE_MARK, findRule, hex, MARK_MASK, planRule } from "./rules.ts";
import { type HostState, Table } from "./state.ts";

/**
 * The rules and the routes that lead packets into the tunnel, from one address and from sockets
 * without an address. While the tunnel is down, they refuse these packets.
 *
 * @param from the address whose packets are captured
 * @throws {OperatorError} if a table or the priority is in use
 */
export function planCapture(settings: Settings, from: IpAddress, state: HostState): Change[] {
  const { tun, capture, table, priority } = settings;
  const { rules, routes } = state;
  const what = (source: IpAddress, table: number) => `rule from ${formatIp(source)} to table ${table}`;
  const unbound = unboundTable(settings);
  const rule = planRule(what(from, table), { from }, table, priority, rules);
  const other = planRule(what(UNSPECIFIED, unbound), { from: UNSPECIFIED }, unbound, priority, rules);
  refuseForeignRoute(settings, table, rule.isThere, state);
  refuseForeignRoute(settings, unbound, other.isThere, state);
  // A capturing rule that was added by hand may have another priority.
  const before = Math.min(priority, findRule({ from }, table, rules)?.priority ?? priority);
  return [
    rule,
    ...capture.map((block) => planCapturingRoute(block, tun, table, routes)),
    ...capture.map((block) => planRefusal(block, table, routes, "lo")),
    other,
    ...capture.map((block) => planCapturingRoute(block, tun, unbound, routes, from)),
    // Not `prohibit`: a socket that is bound to another card has no address yet either, and its
    // lookup must find that card's route in the main table.
    ...capture.map((block) => planRefusal(block, unbound, routes, "lo", from)),
    planRule(
      `rule for answers past table ${table}`,
      { mark: answerMark(settings) },
      Table.main,
      before - 1,
      rules,
      before,
    ),
    // Answers of the world's routers come in by the tunnel, while the host's own route to those
    // routers leads elsewhere. A strict filter would drop them. Packets from captured blocks come
    // in by the card, while the route back to them leads into the tunnel.
    planLooseFilter(tun, state, true),
    ...cardOf(from, state).map((card) => planLooseFilter(card, state, false)),
  ];
}

/**
 * The table for packets of sockets that have no address yet. It is not the other one, because a
 * person may have given that one routes for packets that are not captured.
 */
export function unboundTable({ table }: Settings): number {
  return table * 100;
}

/** The mark of answers to connections from outside. It differs from that of another run. */
function answerMark({ table }: Settings): number {
  return CAPTURE_MARK + 0x8000 + (table & 0x7fff);
}

/** The name of the interface that has the address; none if it is gone. */
function cardOf(address: IpAddress, { interfaces }: HostState): string[] {
  return interfaces.filter(({ addresses }) => addresses.some((own) => own.address === address))
    .map(({ name }) => name);
}

/**
 * Makes sure that the table leads only into the tunnel. If the table belongs to somebody else, our
 * rule would send packets their way. No captured packet may leave past the tunnel.
 *
 * @param isOurs whether the rule that leads to the table existed before, so that the table's other
 *   routes are there on purpose
 */
function refuseForeignRoute(
  { tun, capture }: Settings,
  table: number,
  isOurs: boolean,
  { routes, closed }: HostState,
): void {
  const foreign = routes.find((route) =>
    route.table === table && route.device !== tun && !closed.has(nameOf(route)) &&
    !capture.some((block) => isRefusal(route, block, table)) &&
    (!isOurs || capture.some((block) => route.to.prefix >= block.prefix && overlaps(route.to, block)))
  );
  if (foreign === undefined) return;
  throw new OperatorError(
    `table ${table} is in use: it leads ${formatCidr(foreign.to)} to ${foreign.device ?? "nowhere"}`,
    "choose another with --table",
  );
}

/**
 * The address whose packets are captured: that of `--from`, else that of the default route's
 * interface.
 */
export function resolveFrom(settings: Settings, state: HostState): IpAddress {
  const { interfaces, routes } = state;
  const { from } = settings;
  if (from !== undefined) {
    if (interfaces.some(({ addresses }) => addresses.some(({ address }) => address === from))) return from;
    throw new OperatorError(
      `--from ${formatIp(from)} is no address of this host`,
      "choose one that `ip address` lists",
    );
  }
  const unclear = (why: string) =>
    new OperatorError(
      `${why}, so it is unclear whose packets to capture`,
      "name the address with --from",
      ExitCode.hostLacks,
    );
  const route = defaultRoute(routes);
  if (route === undefined) throw unclear("this host has no default route");
  const is = interfaces.find(({ name }) => name === route.device);
  const address = is && sourceBy(route, is, state);
  if (address === undefined) throw unclear(`${route.device}, the default route's interface, has no address`);
  return address;
}

/** The ports that the kernel gives to clients (Documentation/networking/ip-sysctl.rst). */
const CLIENT_PORTS = "net.ipv4.ip_local_port_range";

/**
 * The highest port of servers. If a connection is older than the firewall table, nobody knows which
 * side began it. Our side then counts as the client if it has a port that clients get.
 */
function lastServerPort({ sysctl }: HostState): number {
  const [first = ""] = (sysctl(CLIENT_PORTS) ?? "").split(/\s+/);
  return (Number(first) || 32_768) - 1;
}

/** The port that conntrack shows for an echo request: its type, 8, and its code, 0. */
const ECHO_PORT = 0x0800;

/**
 * The firewall rules of capturing. One marks answers to connections from outside, which its rule
 * then leads to the main table. The others refuse captured packets that leave by any other
 * interface than the TUN, whatever rules and routes say. Our marks, also the routers', are
 * excepted.
 *
 * @param from the address whose packets are captured
 */
export function captureRules(settings: Settings, from: IpAddress, state: HostState): FirewallRules {
  const { capture, tun } = settings;
  const [source, blocks] = [formatIp(from), capture.map(formatCidr)];
  const [mark, ports] = [hex(answerMark(settings)), lastServerPort(state)];
  const [ours, mask] = [hex(CAPTURE_MARK), hex(MARK_MASK)];
  // The host reaches its own addresses by `lo`, and the local table comes before ours.
  const own = state.interfaces.flatMap(({ addresses }) => addresses);
  const hasOwn = capture.some((block) => own.some(({ address }) => contains(block, address)));
  const packets = `ip saddr ${source} ip daddr { ${blocks.join(", ")} }`;
  const answers = `meta mark 0 ct direction reply ${packets}`;
  const past = `${packets} oifname != ${hasOwn ? `{ "${tun}", "lo" }` : `"${tun}"`} ` +
    `meta mark & ${mask} != ${ours}`;
  const list = ["-s", source, "-d", blocks.join(",")];
  const pastWords = [
    ...[...list, "!", "-o", tun, "-m", "mark", "!", "--mark", `${ours}/${mask}`],
    ...(hasOwn ? ["-m", "addrtype", "!", "--dst-type", "LOCAL"] : []),
  ];
  return {
    nft: [
      `chain answers { type route hook output priority mangle; ` +
      `${answers} meta l4proto icmp meta mark set ${mark}; ` +
      `${answers} meta l4proto { tcp, udp } th sport 0-${ports} meta mark set ${mark}; };`,
      `chain refusals { type filter hook output priority filter; ${past} ` +
      "reject with icmp type admin-prohibited; };",
      // In the output hook, a rerouted packet still shows the interface of its first route.
      `chain barrier { type filter hook postrouting priority mangle; ${past} drop; };`,
    ],
    iptables: [
      {
        what: `firewall rule for answers from ${source}`,
        table: "mangle",
        words: [
          ...["OUTPUT", ...list, "-m", "mark", "--mark", "0"],
          ...["-m", "conntrack", "--ctdir", "REPLY"],
          ...["--ctorigdstport", `0:${Math.max(ports, ECHO_PORT)}`],
          ...["-j", "MARK", "--set-mark", mark],
        ],
      },
      {
        what: `firewall rule that rejects packets from ${source}`,
        table: "filter",
        words: ["OUTPUT", ...pastWords, "-j", "REJECT", "--reject-with", "icmp-admin-prohibited"],
      },
      {
        what: `firewall rule that drops packets from ${source}`,
        table: "mangle",
        words: ["POSTROUTING", ...pastWords, "-j", "DROP"],
      },
    ],
  };
}
