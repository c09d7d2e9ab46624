/**
 * The plan: everything that a run changes on the host, in the order in which a person would do it by hand.
 *
 * @module
 */
import type { Settings } from "../config/settings.ts";
import { OperatorError } from "../errors.ts";
import { command, show, toWords } from "./plan/action.ts";
import { type FirewallTool, planCapture, planFirewall } from "./plan/capture.ts";
import type { Change } from "./plan/change.ts";
import { type ExitInterface, resolveExits, resolveFrom } from "./plan/exit_interfaces.ts";
import { planReassembly } from "./plan/reassembly.ts";
import type { HostState } from "./plan/state.ts";
import { planTun, planTunMtu, tunMtu } from "./plan/tun.ts";
import type { NeededLink, Needs } from "./upkeep.ts";
import type { IpAddress } from "../ip/address.ts";

/** What is changed, and what is known once it has been. */
export interface HostPlan {
  readonly changes: readonly Change[];
  /** Where each router leaves by; none in stages whose routers stay inside. */
  readonly exits: readonly ExitInterface[];
  /** Bytes of the longest packet that the TUN interface takes. */
  readonly mtu: number;
  /** Whose packets are captured; nobody's in stages without. */
  readonly from: IpAddress | undefined;
  /** What must stay so while the run is up. */
  readonly needs: Needs;
}

/**
 * Plans a run. What is right already is not in the plan.
 *
 * @param owner our process id: it tells our firewall table from another run's
 * @param tool what firewall rules are made with; without one, there are none
 * @param longest bytes of the longest packet that the onion carries in one piece
 * @throws {OperatorError} where the host has not what the run needs, or it is in use
 */
export function planHost(
  settings: Settings,
  state: HostState,
  owner: number,
  tool: FirewallTool | undefined,
  longest: number = Infinity,
): HostPlan {
  const { tun, address, stage } = settings;
  const tunnel = [...planTunMtu(tun, longest, state), ...planTun(tun, address, state)];
  const mtu = tunMtu(tun, longest, state);
  if (!stage.captures) {
    const links = [{ name: tun, mtu, meanwhile: "nothing is carried" }];
    return {
      changes: missing(tunnel, state),
      exits: [],
      mtu,
      from: undefined,
      needs: { links, routes: [] },
    };
  }
  const from = resolveFrom(settings, state);
  const capture = planCapture(settings, from, state);
  const exits = resolveExits(settings, from, state);
  const firewall = tool === undefined ? [] : planFirewall(settings, from, exits, state.rules, tool, owner);
  const leaving = exits.flatMap((exit) => exit.changes);
  // What `ip` does stays together, for one process does all of it.
  const needed = [...tunnel, ...capture, ...leaving, ...firewall, planReassembly(state)];
  const links = [{ name: tun, mtu, meanwhile: "what is captured is refused" }, ...neededLinks(exits)];
  const routes = unique(needed).filter(({ route }) => route !== undefined);
  return { changes: missing(needed, state), exits, mtu, from, needs: { links, routes } };
}

/** The interfaces that routers leave by, each once. */
function neededLinks(exits: readonly ExitInterface[]): NeededLink[] {
  const links = exits.map(({ device: name, mtu }) => ({ name, mtu, meanwhile: "nothing leaves by it" }));
  return [...new Map(links.map((link) => [link.name, link])).values()];
}

/**
 * What of the needed changes is to be made, each once.
 *
 * @throws {OperatorError} where something is there that will not stay, because another run has made it
 */
function missing(needed: readonly Change[], { held }: HostState): Change[] {
  for (const { what, isThere, isOptional = false } of needed) {
    const other = isThere && !isOptional ? held.get(what) : undefined;
    if (other === undefined) continue;
    throw new OperatorError(
      `another run, process ${other}, has made this and will undo it when it ends: ${what}`,
      "end that run, or choose another --table, --priority and --exit",
    );
  }
  return unique(needed).filter((change) => !change.isThere);
}

function unique(changes: readonly Change[]): Change[] {
  return [...new Map(changes.map((change) => [change.what, change])).values()];
}

/** The plan as commands to type, the one that makes the TUN interface first. */
export function planCommands(
  settings: Settings,
  state: HostState,
  owner: number,
  tool: FirewallTool,
  longest: number = Infinity,
): string[] {
  const { tun } = settings;
  const isThere = state.interfaces.some((each) => each.name === tun);
  const create = command("ip", "tuntap", "add", "dev", tun, "mode", "tun");
  const { changes } = planHost(settings, state, owner, tool, longest);
  return [...(isThere ? [] : [create]), ...changes.map(({ make }) => make)].map(toWords).map(show);
}
