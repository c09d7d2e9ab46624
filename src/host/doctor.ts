/**
 * The doctor: turns the facts about a host into what it has and lacks for each stage. Where it can,
 * it asks the planners of a run, so that it cannot disagree with them.
 *
 * @module
 */
import { hasLayers } from "../circuit/kind.ts";
import type { Settings } from "../config/settings.ts";
import { type Stage, STAGES } from "../config/stages.ts";
import { validate } from "../config/validate.ts";
import { OperatorError } from "../errors.ts";
import { EXITS } from "../exit/registry.ts";
import { formatIp, LOOPBACK } from "../ip/address.ts";
import { formatCidr } from "../ip/cidr.ts";
import { type Capability } from "../sys/capability.ts";
import { TUN_DEVICE } from "../sys/tun.ts";
import { conclude, type Diagnosis, type Finding } from "./diagnosis.ts";
import type { Facts } from "./facts.ts";
import { planExits, planHost } from "./host_plan.ts";
import { planCapture, resolveFrom } from "./plan/capture.ts";
import { defaultRoute } from "./plan/routes.ts";
import { CAPTURE_MARK, hex } from "./plan/rules.ts";
import { type HostState, type Rule, Table } from "./plan/state.ts";
import { inFront } from "./plan/priority.ts";
import { planTun } from "./plan/tun.ts";
import { explainLoopback } from "./loopback.ts";
import { obstaclesBy, waysOf } from "./ways.ts";
import { choiceOfPorts, PORT_RANGE } from "./ports.ts";

/** What a check finds. */
type Verdict = Omit<Finding, "name" | "stages">;

/** One check. */
interface Check {
  readonly name: string;
  /** The stages that it matters to. */
  readonly matters: (stage: Stage) => boolean;
  readonly look: (facts: Facts, settings: Settings) => Verdict | Verdict[];
}

const always = () => true;
const traffic = (stage: Stage) => stage.traffic;
const captures = (stage: Stage) => stage.captures;

const ok = (says: string): Verdict => ({ mark: "ok", says });
const lacks = (says: string, mend: string): Verdict => ({ mark: "lacks", says, mend });
const note = (says: string, mend?: string): Verdict => ({ mark: "note", says, ...(mend && { mend }) });
const unknown = (says: string, mend?: string): Verdict => ({ mark: "unknown", says, ...(mend && { mend }) });

/** Whether the kernel forwards packets between interfaces. */
const FORWARDING = "net.ipv4.ip_forward";

const AS_ROOT = "run it as root: sudo onion …";

/** All checks, in the order of the report. */
const CHECKS: readonly Check[] = [
  // The program would not have started without it.
  { name: "C library", matters: always, look: () => ok("libc.so.6") },
  { name: "loopback", matters: always, look: lookAtLoopback },
  { name: "data links", matters: traffic, look: lookAtLinks },
  { name: "ports", matters: always, look: lookAtPorts },
  { name: "TUN driver", matters: traffic, look: lookAtTunDriver },
  { name: "CAP_NET_ADMIN", matters: traffic, look: privilege("CAP_NET_ADMIN", "change the network") },
  ...exitPrivileges(),
  { name: "ip", matters: traffic, look: lookAtIp },
  { name: "firewall", matters: captures, look: lookAtFirewall },
  { name: "TUN interface", matters: traffic, look: onNetwork(lookAtTun) },
  { name: "TUN address", matters: traffic, look: onNetwork(lookAtTunAddress) },
  { name: "default route", matters: captures, look: onNetwork(lookAtDefaultRoute) },
  { name: "captured", matters: captures, look: onNetwork(lookAtCapture) },
  { name: "exit", matters: captures, look: onNetwork(lookAtExits) },
  { name: "forwarding", matters: captures, look: lookAtForwarding },
  { name: "reverse path", matters: captures, look: onNetwork(lookAtReversePath) },
  { name: "rules", matters: captures, look: onNetwork(lookAtRules) },
  { name: "other runs", matters: traffic, look: onNetwork(lookAtOtherRuns) },
  { name: "leftovers", matters: traffic, look: lookAtLeftovers },
];

/** The first stage whose cells are sealed. */
const FIRST_SEALED = STAGES.find(({ circuits }) => hasLayers(circuits))!.number;

/** Diagnoses the host, for runs without options. */
export function diagnose(facts: Facts, stages: readonly Stage[] = STAGES): Diagnosis {
  const findings: Finding[] = [];
  for (const { name, matters, look } of CHECKS) {
    for (const stage of stages.filter(matters)) {
      for (const verdict of [look(facts, withoutOptions(stage))].flat()) {
        add(findings, name, verdict, stage.number);
      }
    }
  }
  findings.push(lookAtSealing(facts, stages));
  return conclude(findings, stages);
}

/**
 * Adds a finding. Merges it with the same finding of another stage, or the same lack of another
 * check.
 */
function add(findings: Finding[], name: string, verdict: Verdict, stage: number): void {
  const index = findings.findIndex((each) =>
    each.mark === verdict.mark && each.says === verdict.says && (each.name === name || each.mark === "lacks")
  );
  const before = findings[index];
  if (before === undefined) findings.push({ name, ...verdict, stages: [stage] });
  else if (!before.stages.includes(stage)) findings[index] = { ...before, stages: [...before.stages, stage] };
}

/** The settings of a stage without options. */
function withoutOptions({ number }: Stage): Settings {
  return validate({ stage: { text: `${number}`, name: "--stage", at: "" } });
}

/** A check that needs the network. If the planners refuse a run, the host lacks what they say. */
function onNetwork(
  look: (state: HostState, settings: Settings, facts: Facts) => Verdict | Verdict[],
): Check["look"] {
  return (facts, settings) => {
    const { network } = facts;
    if (network instanceof OperatorError) return unknown("cannot be checked without ip");
    try {
      return look(network, settings, facts);
    } catch (error) {
      if (error instanceof OperatorError) return lacks(error.message, error.remedy);
      throw error;
    }
  };
}

function lookAtLoopback({ hasLoopback }: Facts): Verdict {
  return hasLoopback ? ok("up") : lacks("the loopback interface is down", "ip link set lo up");
}

function lookAtLinks({ hasLoopback, loopback }: Facts): Verdict {
  if (!hasLoopback || loopback === undefined) return unknown("cannot be tried");
  if (loopback.source === LOOPBACK) return ok("a datagram on loopback arrives as it was sent");
  const { why, remedy } = explainLoopback(loopback.source);
  return lacks(why, remedy);
}

/**
 * Each process needs a port for control and one for cells. A proxy without packets needs no second
 * one.
 */
function lookAtPorts({ sysctl, udpPorts }: Facts, { routers, stage }: Settings): Verdict {
  const choice = choiceOfPorts(sysctl, udpPorts);
  if (choice === undefined) return unknown(`${PORT_RANGE.name} cannot be read`);
  const { range, all, free } = choice;
  const needed = 1 + 2 * routers + Number(stage.traffic);
  if (free >= needed) return ok(`${free} of ${all} UDP ports are free`);
  return lacks(
    `of the UDP ports from ${range}, ${free} are free, and proxy and routers need ${needed}`,
    `sysctl -w ${PORT_RANGE.name}='${PORT_RANGE.default}'`,
  );
}

function lookAtTunDriver({ tunDriver: { isLoaded, hasDevice, refuses }, isRoot }: Facts): Verdict {
  const inContainer = `in a container, start it with --device ${TUN_DEVICE}`;
  if (refuses !== undefined) {
    return lacks(`${TUN_DEVICE} cannot be opened: ${refuses}`, isRoot ? inContainer : AS_ROOT);
  }
  if (hasDevice && isLoaded) return ok(TUN_DEVICE);
  if (hasDevice) {
    return note(`${TUN_DEVICE} exists; the kernel loads its driver on first use`, "modprobe tun");
  }
  if (!isLoaded) return lacks(`${TUN_DEVICE} and its driver are missing`, "modprobe tun");
  return lacks(
    `${TUN_DEVICE} is missing, though the kernel has its driver`,
    `mkdir -p /dev/net && mknod ${TUN_DEVICE} c 10 200; ${inContainer}`,
  );
}

function privilege(capability: Capability, right: string): Check["look"] {
  const short = capability.replace("CAP_", "");
  return ({ has, isRoot }) => {
    if (has(capability)) return ok(`may ${right}`);
    return isRoot
      ? lacks(`root may not ${right} here`, `in a container, start it with --cap-add=${short}`)
      : lacks(`may not ${right}`, AS_ROOT);
  };
}

/** The privileges that each kind of exit needs, in the stages that have it. */
function exitPrivileges(): Check[] {
  return Object.entries(EXITS).flatMap(([kind, { needs }]) =>
    needs.map(({ capability, right }) => ({
      name: capability,
      matters: ({ exit }) => exit === kind,
      look: privilege(capability, right),
    }))
  );
}

function lookAtIp({ network }: Facts): Verdict {
  return network instanceof OperatorError ? lacks(network.message, network.remedy) : ok("iproute2");
}

function lookAtFirewall({ firewallTool }: Facts): Verdict {
  if (firewallTool !== undefined) return ok(firewallTool);
  return lacks("neither nft nor iptables: nothing would bar captured packets", "apt-get install nftables");
}

function lookAtTun({ interfaces }: HostState, { tun }: Settings): Verdict {
  const is = interfaces.find(({ name }) => name === tun);
  const another = "choose another with --tun";
  if (is === undefined) return ok(`${tun} will be created`);
  if (is.kind !== "tun") {
    return lacks(
      `${tun} exists, but is ${is.kind === undefined ? "a network card" : `of kind ${is.kind}`}`,
      another,
    );
  }
  if (is.hasCarrier) return lacks(`${tun} is in use by another program`, `end that program, or ${another}`);
  return ok(`${tun} exists: it will be used, and left in place`);
}

function lookAtTunAddress(state: HostState, { tun, address }: Settings): Verdict {
  const [isThere] = planTun(tun, address, state).map((change) => change.isThere);
  return ok(`${formatCidr(address)} is ${isThere ? "there already" : "free"}`);
}

function lookAtDefaultRoute({ routes }: HostState): Verdict {
  const route = defaultRoute(routes);
  if (route === undefined) {
    return note(
      "none: options must say whose packets to capture and where they leave",
      "see --from and --exit",
    );
  }
  return ok([...route.via, "dev", route.device].join(" "));
}

function lookAtCapture(state: HostState, given: Settings): Verdict {
  const { from, settings } = capturing(given, state);
  const [rule] = planCapture(settings, from, state);
  const { capture, table, priority } = settings;
  const what = `${formatIp(from)} to ${capture.map(formatCidr).join(", ")}, by table ${table}`;
  return ok(rule?.isThere ? `${what}: its rule exists already` : `${what} and priority ${priority}`);
}

function lookAtExits(state: HostState, given: Settings): Verdict[] {
  const { from, settings } = capturing(given, state);
  const exits = planExits(settings, from, state).routers.map(({ leaves }) => leaves);
  return exits.filter((each) => each !== undefined).map(({ router, device, address, via, isCaptured }) => {
    const source = `router ${router} by ${device}, as ${formatIp(address)}`;
    const way = [source, via ?? "no gateway: where the main table leads"].filter(Boolean).join(", ");
    return ok(isCaptured ? `${way}: the captured address; a mark tells the packets apart` : way);
  });
}

/**
 * Routers send by sockets of their own. Only the kernel exit, from stage 7 on, forwards packets.
 */
function lookAtForwarding({ sysctl }: Facts): Verdict {
  const value = sysctl(FORWARDING);
  if (value === undefined) return unknown(`${FORWARDING} cannot be read`);
  return ok(`${FORWARDING} is ${value}, and not needed before stage 7`);
}

function lookAtReversePath(state: HostState, given: Settings): Verdict {
  const { from, settings } = capturing(given, state);
  const changes = [...planCapture(settings, from, state), ...planExits(settings, from, state).changes];
  const filters = changes.filter(({ make, isThere }) => make.kind === "set sysctl" && !isThere);
  if (filters.length === 0) return ok("no strict filter is in the way");
  // Routers that leave by one interface need the same change.
  const whats = [...new Set(filters.map(({ what }) => what))];
  return ok(`strict: a run makes it loose, and restores it: ${whats.join("; ")}`);
}

/** The address whose packets a run would capture, and the settings with its rules' priority. */
function capturing(settings: Settings, state: HostState) {
  const from = resolveFrom(settings, state);
  return { from, settings: inFront(settings, from, state) };
}

/** Rules before the capturing one may lead its packets elsewhere. */
function lookAtRules(state: HostState, given: Settings, { ask }: Facts): Verdict {
  const { from, settings } = capturing(given, state);
  const { priority, table } = settings;
  const ways = waysOf(settings, from, planExits(settings, from, state).routers);
  const inTheWay = obstaclesBy(ask, ways, state).find(({ comesFirst }) => comesFirst);
  if (inTheWay !== undefined) return lacks(inTheWay.message, inTheWay.remedy);
  // Includes the rules to the exits' tables, and those for the routers' marks.
  const isOurs = ({ table: to = 0, fwmark = "" }: Rule) =>
    to === table || Math.trunc(to / 100) === table || fwmark.startsWith(hex(CAPTURE_MARK).slice(0, -4));
  const first = state.rules.filter((rule) =>
    rule.table !== Table.local && rule.priority <= priority && !isOurs(rule)
  );
  if (first.length === 0) return ok(`none before priority ${priority}`);
  const told = first.map(({ priority, src, table }) => `${priority} from ${src} to ${table ?? "nowhere"}`);
  return note(
    `rules before ours may lead packets past the tunnel: ${told.join("; ")}`,
    "see `ip rule`, and choose another with --priority",
  );
}

/**
 * Whether the plan needs something that another run owns. Earlier checks cover every other
 * obstacle.
 */
function lookAtOtherRuns(state: HostState, settings: Settings): Verdict {
  planHost(settings, state, 0, "nft");
  const pids = [...new Set(state.held.values())];
  return pids.length === 0
    ? ok("no other run has changed this host")
    : note(`running, with changes of their own: process ${pids.join(", ")}`);
}

/** The library that seals layers. It is reported even if no stage seals, and then prevents none. */
function lookAtSealing({ sealing }: Facts, stages: readonly Stage[]): Finding {
  const matters = stages.map(({ number }) => number).filter((number) => number >= FIRST_SEALED);
  const found = { name: "sealing", stages: matters };
  const when = `from stage ${FIRST_SEALED} on`;
  if (sealing instanceof OperatorError) {
    return { ...found, ...lacks(`${sealing.message}: needed ${when}`, sealing.remedy) };
  }
  const { name, version } = sealing;
  if (name === "libcrypto") return { ...found, ...ok(`${name} ${version}: used ${when}`) };
  const slower = `${name} of ${version}: used ${when}, and several times slower than libcrypto.so.3`;
  return { ...found, ...note(slower, "apt-get install libssl3") };
}

function lookAtLeftovers({ leftovers }: Facts): Verdict {
  if (leftovers === undefined) return unknown("only root may look", "sudo onion doctor");
  if (leftovers.length === 0) return ok("none");
  const what = `left by a run that died; the next run undoes it or takes it over: ${leftovers.join("; ")}`;
  return note(what, "sudo onion down");
}
