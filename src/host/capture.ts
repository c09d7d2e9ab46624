/**
 * Capturing: leading the host's own packets to some destinations into the tunnel.
 *
 * @module
 */
import { formatCidr } from "../config/cidr.ts";
import type { Settings } from "../config/settings.ts";
import { OperatorError } from "../errors.ts";
import { formatIpv4 } from "../wire/ipv4.ts";
import type { Change } from "./change.ts";
import type { HostExit } from "./exits.ts";
import { planLooseFilter } from "./reverse_path.ts";
import type { HostState } from "./state.ts";

/**
 * The rule and the routes that lead packets from one address into the tunnel.
 *
 * @param from whose packets are captured
 * @throws {OperatorError} where the table leads somewhere else
 */
export function planCapture(settings: Settings, from: number, state: HostState): Change[] {
  const { rules, routes } = state;
  const { tun, capture, priority } = settings;
  const table = String(settings.table);
  const source = formatIpv4(from);
  const changes: Change[] = [];
  if (!rules.some((rule) => rule.src === source && rule.table === table)) {
    const words = ["from", source, "table", table, "priority", String(priority)] as const;
    changes.push({
      what: `rule from ${source} to table ${table}`,
      make: ["ip", "rule", "add", ...words],
      undo: ["ip", "rule", "delete", ...words],
    });
  }
  for (const block of capture) {
    const destination = formatCidr(block).replace(/\/32$/, "");
    const route = routes.find((each) => each.table === table && each.dst === destination);
    if (route?.dev === tun) continue;
    if (route !== undefined) {
      throw new OperatorError(
        `table ${table} is in use: it leads ${destination} to ${route.dev ?? "another place"}`,
        "choose another table with --table",
      );
    }
    const words = ["table", table, destination, "dev", tun] as const;
    changes.push({
      what: `route of ${destination} to ${tun} in table ${table}`,
      make: ["ip", "route", "add", ...words],
      undo: ["ip", "route", "delete", ...words],
      goesWithTun: true,
    });
  }
  // Routers of the world speak up through the tunnel, whose own way leads elsewhere, e.g. the host's own gateway.
  return [...changes, ...planLooseFilter(tun, state, true)];
}

/** What firewall rules are made with. */
export type FirewallTool = "nft" | "iptables";

/** The mark of packets that must go into the tunnel: "on" in ASCII. Routers' own marks count up from it. */
export const CAPTURE_MARK = 0x6f6e_0000;

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
 * @param owner tells our table from another run's
 */
export function planFirewall(
  settings: Settings,
  from: number,
  exits: readonly HostExit[],
  tool: FirewallTool,
  owner: number,
): Change[] {
  const source = formatIpv4(from);
  const blocks = settings.capture.map(formatCidr);
  const mark = `0x${CAPTURE_MARK.toString(16)}`;
  const own = [...new Set(exits.filter((exit) => exit.mark === 0).map((exit) => formatIpv4(exit.address)))];
  const words = [
    "fwmark",
    mark,
    "table",
    String(settings.table),
    "priority",
    String(settings.priority),
  ] as const;
  const rule: Change = {
    what: `rule for marked packets to table ${settings.table}`,
    make: ["ip", "rule", "add", ...words],
    undo: ["ip", "rule", "delete", ...words],
  };
  const tables = tool === "nft"
    ? planNft(source, blocks, mark, own, owner)
    : planIptables(source, blocks, mark, own);
  return [rule, ...tables];
}

function planNft(source: string, blocks: string[], mark: string, own: string[], owner: number): Change[] {
  const table = `onion_${owner}`;
  const capture = `chain capture { type route hook output priority mangle; ` +
    `meta mark 0 ip saddr ${source} ip daddr { ${blocks.join(", ")} } meta mark set ${mark}; };`;
  const resets = own.length === 0 ? "" : ` chain resets { type filter hook output priority filter; ` +
    `ip saddr { ${own.join(", ")} } tcp flags & rst == rst drop; };`;
  return [{
    what: `firewall table ${table}`,
    make: ["nft", `table ip ${table} { ${capture}${resets} }`],
    undo: ["nft", `delete table ip ${table}`],
  }];
}

function planIptables(source: string, blocks: string[], mark: string, own: string[]): Change[] {
  const change = (what: string, table: string, ...words: string[]): Change => ({
    what,
    make: ["iptables", "-w", "-t", table, "-A", "OUTPUT", ...words],
    undo: ["iptables", "-w", "-t", table, "-D", "OUTPUT", ...words],
  });
  return [
    ...blocks.map((block) =>
      change(
        `firewall rule for packets from ${source} to ${block}`,
        "mangle",
        ...["-s", source, "-d", block, "-m", "mark", "--mark", "0", "-j", "MARK", "--set-mark", mark],
      )
    ),
    ...own.map((address) =>
      change(
        `firewall rule against TCP resets from ${address}`,
        "filter",
        ...["-s", address, "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP"],
      )
    ),
  ];
}
