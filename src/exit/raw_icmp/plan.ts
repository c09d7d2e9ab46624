/**
 * What a raw ICMP exit needs of the host: an interface to leave by for each router, and no TCP
 * resets.
 *
 * @module
 */
import type { Settings } from "../../config/settings.ts";
import type { ExitInterface } from "../../host/plan/exit_interfaces.ts";
import type { ExitPlan } from "../../host/plan/exit_plan.ts";
import type { FirewallRules } from "../../host/plan/firewall.ts";
import { formatIp } from "../../ip/address.ts";
import { hopOf } from "../../ip/cidr.ts";
import type { RawIcmpSettings } from "./settings.ts";

/** The privileges that it needs besides those of every run. */
export const RAW_ICMP_NEEDS = [
  { capability: "CAP_NET_RAW", purpose: "open a raw ICMP socket", right: "open raw sockets" },
] as const;

/**
 * Plans the exits of all routers.
 *
 * @param chooseInterfaces chooses the interface that each router leaves by
 */
export function planRawIcmp(
  settings: Settings,
  chooseInterfaces: () => readonly ExitInterface[],
): ExitPlan<RawIcmpSettings> {
  const exits = chooseInterfaces();
  const hop = hopOf(settings.address);
  return {
    routers: exits.map((leaves) => {
      const { address, mark } = leaves;
      // Routers that share an address must not use the same echo identifiers.
      const sharing = exits.filter((other) => other.address === address);
      const share = { index: sharing.indexOf(leaves), of: sharing.length };
      return { settings: { kind: "raw-icmp", address, hop, share, mark }, leaves };
    }),
    changes: exits.flatMap(({ changes }) => changes),
    // An exit with the captured address gets no such rule, because it would silence the host's own
    // resets.
    firewall: resetRules([
      ...new Set(exits.filter(({ isCaptured }) => !isCaptured).map(({ address }) => formatIp(address))),
    ]),
  };
}

/**
 * Stops the kernel's TCP resets from these addresses: it does not know the connections of a router.
 */
function resetRules(addresses: readonly string[]): FirewallRules {
  if (addresses.length === 0) return { nft: [], iptables: [] };
  return {
    nft: [
      `chain resets { type filter hook output priority filter; ` +
      `ip saddr { ${addresses.join(", ")} } tcp flags & rst == rst drop; };`,
    ],
    iptables: addresses.map((address) => ({
      what: `firewall rule against TCP resets from ${address}`,
      table: "filter",
      words: ["OUTPUT", "-s", address, "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP"],
    })),
  };
}
