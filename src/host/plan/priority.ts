/**
 * The priority of a run's rules: by default the course's, or one in front of rules that would lead
 * captured packets elsewhere.
 *
 * @module
 */
import type { Settings } from "../../config/settings.ts";
import { type IpAddress, UNSPECIFIED } from "../../ip/address.ts";
import { contains, overlaps, parseCidr } from "../../ip/cidr.ts";
import { type HostState, type Rule, Table } from "./state.ts";

/** The default of `--priority`, from the course. Only the default makes way for other rules. */
const DEFAULT = 8;

/** The lowest priority of a capturing rule: the rules for the routers come just before it. */
const LOWEST = 2;

/**
 * The settings with a priority at which captured packets meet our rules first. If there is no such
 * priority, or the user chose one, it stays as it is.
 *
 * @param from the address whose packets are captured
 */
export function inFront(settings: Settings, from: IpAddress | undefined, { rules }: HostState): Settings {
  if (from === undefined || settings.priority !== DEFAULT) return settings;
  const before = rules.filter((rule) => rule.priority <= DEFAULT && leadsElsewhere(rule, settings, from));
  const priority = Math.min(DEFAULT, ...before.map((rule) => rule.priority - 1));
  return priority < LOWEST ? settings : { ...settings, priority };
}

/** Whether a rule may lead captured packets past our table. */
function leadsElsewhere(rule: Rule, { table, capture }: Settings, from: IpAddress): boolean {
  if (rule.table === table || rule.table === Table.local) return false;
  return matches(rule, from) && (rule.to === undefined || capture.some((block) => overlaps(block, rule.to!)));
}

/**
 * Whether a rule may match this host's own packets with a source and a mark. Its other conditions
 * may still exclude them.
 *
 * @param from their source; 0.0.0.0 while they have none
 */
export function matches({ src, fwmark, others }: Rule, from: IpAddress = UNSPECIFIED, mark = 0): boolean {
  // A rule for forwarded packets.
  if (others.includes("iif")) return false;
  if (others.includes("not")) return true;
  return matchesSource(src, from) && (fwmark === undefined || Number(fwmark) === mark);
}

function matchesSource(src: string, from: IpAddress): boolean {
  if (src === "all") return true;
  const block = parseCidr(src.includes("/") ? src : `${src}/32`);
  return block !== undefined && contains(block, from);
}
