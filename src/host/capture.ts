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
import type { HostState } from "./state.ts";

/**
 * The rule and the routes that lead packets from one address into the tunnel.
 *
 * @param from whose packets are captured
 * @throws {OperatorError} where the table leads somewhere else
 */
export function planCapture(settings: Settings, from: number, { rules, routes }: HostState): Change[] {
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
  return changes;
}

/** What firewall rules are made with. */
export type FirewallTool = "nft" | "iptables";

/**
 * The rule that keeps the kernel from resetting TCP connections that it does not know, because they are a router's:
 * for the routers' own addresses only. An exit by the host's captured address gets none, for it would silence the
 * host's own resets.
 *
 * @param owner tells our table from another run's
 */
export function planFirewall(exits: readonly HostExit[], tool: FirewallTool, owner: number): Change[] {
  const sources = [
    ...new Set(exits.filter((exit) => exit.mark === 0).map((exit) => formatIpv4(exit.address))),
  ];
  if (sources.length === 0) return [];
  if (tool === "iptables") {
    return sources.map((source): Change => {
      const words = ["OUTPUT", "-s", source, "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP"] as const;
      return {
        what: `firewall rule against TCP resets from ${source}`,
        make: ["iptables", "-w", "-A", ...words],
        undo: ["iptables", "-w", "-D", ...words],
      };
    });
  }
  const table = `onion_${owner}`;
  const rule = `ip saddr { ${sources.join(", ")} } tcp flags & rst == rst drop`;
  const chain = `chain output { type filter hook output priority filter; policy accept; ${rule}; }`;
  return [{
    what: `firewall table ${table} against TCP resets from ${sources.join(", ")}`,
    make: ["nft", `table ip ${table} { ${chain} }`],
    undo: ["nft", `delete table ip ${table}`],
  }];
}
