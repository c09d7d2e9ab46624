/**
 * The plan: everything that a run changes on the host, in the order in which a person would type
 * it.
 *
 * @module
 */
import type { Settings } from "../config/settings.ts";
import { OperatorError } from "../errors.ts";
import { EXITS, type ExitSettings } from "../exit/registry.ts";
import type { IpAddress } from "../ip/address.ts";
import { command, show, toWords } from "./plan/action.ts";
import { captureRules, planCapture, resolveFrom } from "./plan/capture.ts";
import type { Change } from "./plan/change.ts";
import { type ExitInterface, loopRules, resolveExits } from "./plan/exit_interfaces.ts";
import type { ExitPlan, RouterExit } from "./plan/exit_plan.ts";
import { type FirewallTool, planFirewall } from "./plan/firewall.ts";
import { inFront } from "./plan/priority.ts";
import { planReassembly } from "./plan/reassembly.ts";
import type { HostState } from "./plan/state.ts";
import { planTun, planTunMtu, refuseOtherName, tunMtu } from "./plan/tun.ts";
import { isKept, type NeededLink, type Needs } from "./upkeep.ts";
import { type Way, waysOf } from "./ways.ts";

/** The changes, and what a run knows once they are made. */
export interface HostPlan {
  readonly changes: readonly Change[];
  /** What is right already, and the run relies on. */
  readonly there: readonly string[];
  /** The exit of each router, in the order of their numbers. */
  readonly exits: readonly RouterExit<ExitSettings>[];
  /** MTU of the TUN interface in bytes. */
  readonly mtu: number;
  /** The address whose packets are captured; undefined in stages that capture nothing. */
  readonly from: IpAddress | undefined;
  /** What must stay like this while the run is up. */
  readonly needs: Needs;
  /** The ways of the run's packets, once the changes are made. */
  readonly ways: readonly Way[];
}

/**
 * Plans a run. The plan leaves out what is right already.
 *
 * @param owner our process id, which tells our firewall rules from another run's
 * @param tool makes the firewall rules; without one, there are none
 * @param longest bytes of the longest packet that the onion carries in one piece
 * @throws {OperatorError} if the host lacks what the run needs, or something else uses it
 */
export function planHost(
  given: Settings,
  state: HostState,
  owner: number,
  tool: FirewallTool | undefined,
  longest: number = Infinity,
): HostPlan {
  const { tun, address, stage } = given;
  refuseOtherName(tun, state);
  const tunnel = [...planTunMtu(tun, longest, state), ...planTun(tun, address, state)];
  const mtu = tunMtu(tun, longest, state);
  const from = stage.captures ? resolveFrom(given, state) : undefined;
  const settings = inFront(given, from, state);
  const capture = from === undefined ? [] : planCapture(settings, from, state);
  const { routers: exits, changes: leaving, firewall } = planExits(settings, from, state);
  const captured = from === undefined ? undefined : captureRules(settings, from, state);
  const interfaces = exits.map(({ leaves }) => leaves).filter((each) => each !== undefined);
  const rules = [captured, loopRules(tun, interfaces), firewall].filter((each) => each !== undefined);
  const closing = (changes: readonly Change[]) =>
    from === undefined ? changes : changes.map((change) => ({ ...change, keepsClosed: true }));
  // What `ip` does stays together, because one process does all of it.
  const needed = [
    ...tunnel,
    ...closing(capture),
    ...leaving,
    ...closing(tool === undefined ? [] : planFirewall(rules, tool, owner)),
    ...(from === undefined ? [] : [planReassembly(state)]),
  ];
  const meanwhile = from === undefined ? "nothing is carried" : "what is captured is refused";
  const links = [{ name: tun, mtu, meanwhile }, ...neededLinks(interfaces)];
  const kept = unique(needed).filter(isKept);
  const there = needed.filter(({ isThere }) => isThere).map(({ what }) => what);
  const ways = waysOf(settings, from, exits);
  return { changes: missing(needed, state), there, exits, mtu, from, needs: { links, kept, from }, ways };
}

/**
 * Plans the exits of a run. The plan is empty in a stage that carries no packets.
 *
 * @param from the address whose packets are captured, if any
 * @throws {OperatorError} if the host lacks what the exits need
 */
export function planExits(
  settings: Settings,
  from: IpAddress | undefined,
  state: HostState,
): ExitPlan<ExitSettings> {
  const { exit } = settings.stage;
  if (exit === undefined) return { routers: [], changes: [] };
  return EXITS[exit].plan(settings, () => resolveExits(settings, from, state));
}

/** The interfaces that routers leave by, each once. */
function neededLinks(exits: readonly ExitInterface[]): NeededLink[] {
  const links = exits.map(({ device: name, address, via }) => ({
    name,
    address,
    meanwhile: via === undefined ? "no answers reach its address" : "nothing leaves by it",
  }));
  return [...new Map(links.map((link) => [link.name, link])).values()];
}

/**
 * The needed changes that are not there yet, each once.
 *
 * @throws {OperatorError} if something is there only because another run made it, and will undo it
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
