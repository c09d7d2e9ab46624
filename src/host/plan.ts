/**
 * The plan: everything that a run changes on the host, in the order in which a person would do it by hand.
 *
 * @module
 */
import type { Settings } from "../config/settings.ts";
import { type FirewallTool, planCapture, planFirewall } from "./capture.ts";
import type { Change } from "./change.ts";
import { type Command, isInstalled, show } from "./execute.ts";
import { type HostExit, resolveExits, resolveFrom } from "./exits.ts";
import type { HostState } from "./state.ts";
import { planTun, USUAL_MTU } from "./tun.ts";

/** What is changed, and what is known once it has been. */
export interface HostPlan {
  readonly changes: readonly Change[];
  /** Where each router leaves by; none in stages whose routers stay inside. */
  readonly exits: readonly HostExit[];
  /** Bytes of the longest packet that the TUN interface takes. */
  readonly mtu: number;
}

/**
 * Plans a run. What is right already is not in the plan.
 *
 * @param owner our process id: it tells our firewall table from another run's
 * @param tool what firewall rules are made with; without one, there are none
 * @throws {OperatorError} where the host has not what the run needs, or it is in use
 */
export function planHost(
  settings: Settings,
  state: HostState,
  owner: number,
  tool: FirewallTool | undefined,
): HostPlan {
  const { tun, address, stage } = settings;
  const mtu = state.interfaces.find((each) => each.name === tun)?.mtu ?? USUAL_MTU;
  const tunnel = planTun(tun, address, state.interfaces);
  if (!stage.captures) return { changes: tunnel, exits: [], mtu };
  const from = resolveFrom(settings, state);
  const exits = resolveExits(settings, from, state);
  const changes = [
    ...tunnel,
    ...planCapture(settings, from, state),
    ...exits.flatMap((exit) => exit.changes),
    ...(tool === undefined ? [] : planFirewall(settings, from, exits, tool, owner)),
  ];
  return { changes, exits, mtu };
}

/** What firewall rules can be made with here. */
export function firewallTool(): FirewallTool | undefined {
  return (["nft", "iptables"] as const).find(isInstalled);
}

/** The plan as commands to type. */
export function planCommands(settings: Settings, state: HostState, owner: number): string[] {
  const { tun } = settings;
  const isThere = state.interfaces.some((each) => each.name === tun);
  const open: Command = ["ip", "tuntap", "add", "dev", tun, "mode", "tun"];
  const { changes } = planHost(settings, state, owner, firewallTool() ?? "nft");
  return [...(isThere ? [] : [open]), ...changes.map((change) => change.make)].map(show);
}
