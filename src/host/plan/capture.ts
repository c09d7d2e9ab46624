/**
 * Capturing: leading the host's own packets to some destinations into the tunnel.
 *
 * @module
 */
import type { Settings } from "../../config/settings.ts";
import { OperatorError } from "../../errors.ts";
import { formatIp, type IpAddress } from "../../ip/address.ts";
import { formatCidr, overlaps } from "../../ip/cidr.ts";
import { command } from "./action.ts";
import type { Change } from "./change.ts";
import type { ExitInterface } from "./exit_interfaces.ts";
import { planLooseFilter } from "./reverse_path.ts";
import { isRefusal, planCapturingRoute, planRefusal } from "./routes.ts";
import { CAPTURE_MARK, hex, planRule } from "./rules.ts";
import type { HostState, Route, Rule } from "./state.ts";

/**
 * The rule and the routes that lead packets from one address into the tunnel, or nowhere while that is down.
 *
 * @param from whose packets are captured
 * @throws {OperatorError} where the table or the priority serves something else
 */
export function planCapture(settings: Settings, from: IpAddress, state: HostState): Change[] {
  const { tun, capture, table, priority } = settings;
  const source = formatIp(from);
  const rule = planRule(`rule from ${source} to table ${table}`, { from }, table, priority, state.rules);
  refuseForeignRoute(settings, rule.isThere, state.routes);
  const routes = [
    ...capture.map((block) => planCapturingRoute(block, tun, table, state.routes)),
    ...capture.map((block) => planRefusal(block, table, state.routes)),
  ];
  // Routers of the world speak up through the tunnel, whose own way leads elsewhere, e.g. the host's own gateway.
  return [rule, ...routes, planLooseFilter(tun, state, true)];
}

/**
 * Makes sure that the table leads nowhere but into the tunnel. Where it is somebody else's, our rule would send
 * packets their way; and nothing that is to be captured may leave past the tunnel.
 *
 * @param isOurs whether the rule that leads to the table was there before, so that its other routes are meant
 */
function refuseForeignRoute(
  { tun, capture, table }: Settings,
  isOurs: boolean,
  routes: readonly Route[],
): void {
  const foreign = routes.find((route) =>
    route.table === table && route.device !== tun &&
    !capture.some((block) => isRefusal(route, block, table)) &&
    (!isOurs || capture.some((block) => route.to.prefix >= block.prefix && overlaps(route.to, block)))
  );
  if (foreign === undefined) return;
  throw new OperatorError(
    `table ${table} is in use: it leads ${formatCidr(foreign.to)} to ${foreign.device ?? "nowhere"}`,
    "choose another with --table",
  );
}

/** What firewall rules are made with. */
export type FirewallTool = "nft" | "iptables";

/**
 * The firewall rules, in a table of our own where the tool has tables:
 *
 * - Packets of sockets without an address of their own are routed before they have one, so the rule by source
 *   misses them, and they would leave in the clear. They are marked, and the mark leads them into the tunnel.
 * - The kernel must not reset TCP connections that it does not know because they are a router's. That is for the
 *   routers' own addresses only: an exit by the captured address gets no such rule, for it would silence the
 *   host's own resets.
 *
 * @param from whose packets are captured
 * @param owner tells our rules from another run's
 */
export function planFirewall(
  settings: Settings,
  from: IpAddress,
  exits: readonly ExitInterface[],
  rules: readonly Rule[],
  tool: FirewallTool,
  owner: number,
): Change[] {
  const { capture, table, priority } = settings;
  const own = new Set(exits.filter((exit) => exit.mark === 0).map((exit) => formatIp(exit.address)));
  const plan = tool === "nft" ? planNft : planIptables;
  const what = `rule for marked packets to table ${table}`;
  return [
    planRule(what, { mark: CAPTURE_MARK }, table, priority, rules),
    ...plan(`onion_${owner}`, formatIp(from), capture.map(formatCidr), [...own]),
  ];
}

function planNft(table: string, source: string, blocks: string[], own: string[]): Change[] {
  const mark = hex(CAPTURE_MARK);
  const capture = `chain capture { type route hook output priority mangle; ` +
    `meta mark 0 ip saddr ${source} ip daddr { ${blocks.join(", ")} } meta mark set ${mark}; };`;
  const resets = own.length === 0 ? "" : ` chain resets { type filter hook output priority filter; ` +
    `ip saddr { ${own.join(", ")} } tcp flags & rst == rst drop; };`;
  return [{
    what: `firewall table ${table}`,
    isThere: false,
    make: command("nft", `table ip ${table} { ${capture}${resets} }`),
    undo: command("nft", `delete table ip ${table}`),
  }];
}

/** The comment tells our rules from others that say the same, which would else be deleted in their place. */
function planIptables(comment: string, source: string, blocks: string[], own: string[]): Change[] {
  const change = (what: string, table: string, ...words: string[]): Change => {
    const rule = ["OUTPUT", ...words, "-m", "comment", "--comment", comment];
    return {
      what,
      isThere: false,
      make: command("iptables", "-w", "-t", table, "-A", ...rule),
      undo: command("iptables", "-w", "-t", table, "-D", ...rule),
    };
  };
  const mark = ["-m", "mark", "--mark", "0", "-j", "MARK", "--set-mark", hex(CAPTURE_MARK)];
  const resets = ["-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP"];
  const toBlocks = blocks.map((block) => {
    const what = `firewall rule for packets from ${source} to ${block}`;
    return change(what, "mangle", "-s", source, "-d", block, ...mark);
  });
  const fromRouters = own.map((address) => {
    const what = `firewall rule against TCP resets from ${address}`;
    return change(what, "filter", "-s", address, ...resets);
  });
  return [...toBlocks, ...fromRouters];
}
