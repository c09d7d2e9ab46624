/**
 * Capturing: routes the host's own packets to some destinations into the tunnel.
 *
 * @module
 */
import type { Settings } from "../../config/settings.ts";
import { ExitCode, OperatorError } from "../../errors.ts";
import { formatIp, type IpAddress } from "../../ip/address.ts";
import { formatCidr, overlaps } from "../../ip/cidr.ts";
import { sourceBy } from "./addresses.ts";
import type { Change } from "./change.ts";
import type { FirewallRules } from "./firewall.ts";
import { planLooseFilter } from "./reverse_path.ts";
import { defaultRoute, isRefusal, nameOf, planCapturingRoute, planRefusal } from "./routes.ts";
import { CAPTURE_MARK, hex, planRule } from "./rules.ts";
import type { HostState, Rule } from "./state.ts";

/**
 * The rule and the routes that lead packets from one address into the tunnel. While the tunnel is
 * down, they refuse these packets.
 *
 * @param from the address whose packets are captured
 * @throws {OperatorError} if the table or the priority is in use
 */
export function planCapture(settings: Settings, from: IpAddress, state: HostState): Change[] {
  const { tun, capture, table, priority } = settings;
  const source = formatIp(from);
  const rule = planRule(`rule from ${source} to table ${table}`, { from }, table, priority, state.rules);
  refuseForeignRoute(settings, rule.isThere, state);
  const routes = [
    ...capture.map((block) => planCapturingRoute(block, tun, table, state.routes)),
    ...capture.map((block) => planRefusal(block, table, state.routes)),
  ];
  // Answers of the world's routers come in by the tunnel, while the host's own route to those
  // routers leads elsewhere. A strict filter would drop them.
  return [rule, ...routes, planLooseFilter(tun, state, true)];
}

/**
 * Makes sure that the table leads only into the tunnel. If the table belongs to somebody else, our
 * rule would send packets their way. No captured packet may leave past the tunnel.
 *
 * @param isOurs whether the rule that leads to the table existed before, so that the table's other
 *   routes are there on purpose
 */
function refuseForeignRoute(
  { tun, capture, table }: Settings,
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

/** The rule that leads packets into the tunnel that the firewall has marked. */
export function planMarkRule({ table, priority }: Settings, rules: readonly Rule[]): Change {
  return planRule(
    `rule for marked packets to table ${table}`,
    { mark: CAPTURE_MARK },
    table,
    priority,
    rules,
  );
}

/**
 * The firewall rules that mark captured packets. The kernel routes the packets of an unbound socket
 * before they have a source address, so the rule for that address does not match. Without a mark,
 * they would leave in the clear.
 *
 * @param from the address whose packets are captured
 */
export function captureRules({ capture }: Settings, from: IpAddress): FirewallRules {
  const [source, blocks, mark] = [formatIp(from), capture.map(formatCidr), hex(CAPTURE_MARK)];
  return {
    nft: [
      `chain capture { type route hook output priority mangle; ` +
      `meta mark 0 ip saddr ${source} ip daddr { ${blocks.join(", ")} } meta mark set ${mark}; };`,
    ],
    iptables: blocks.map((block) => ({
      what: `firewall rule for packets from ${source} to ${block}`,
      table: "mangle",
      words: [
        ...["OUTPUT", "-s", source, "-d", block],
        ...["-m", "mark", "--mark", "0", "-j", "MARK", "--set-mark", mark],
      ],
    })),
  };
}
