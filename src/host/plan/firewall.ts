/**
 * Firewall rules. With nft they live in a table of our own; iptables has no such tables, so a
 * comment tells our rules from others.
 *
 * @module
 */
import { command } from "./action.ts";
import type { Change } from "./change.ts";

/** The program that makes firewall rules. */
export type FirewallTool = "nft" | "iptables";

/** Firewall rules, for both programs. */
export interface FirewallRules {
  /** Chains of our own table, e.g. `chain capture { … };`. */
  readonly nft: readonly string[];
  readonly iptables: readonly IptablesRule[];
}

/** A rule of iptables. */
interface IptablesRule {
  /** What it does, in a few words. */
  readonly what: string;
  /** The kernel's table, e.g. `mangle`. */
  readonly table: string;
  /** The chain, and then the rule. */
  readonly words: readonly string[];
}

/** The name that tells a run's rules from others: of its table, or in the comment of its rules. */
export function ownName(owner: number): string {
  return `onion_${owner}`;
}

/**
 * The changes that add firewall rules.
 *
 * @param owner the run's process id, which tells our rules from another run's
 */
export function planFirewall(rules: readonly FirewallRules[], tool: FirewallTool, owner: number): Change[] {
  const name = ownName(owner);
  if (tool === "iptables") {
    return rules.flatMap(({ iptables }) => iptables).map((rule) => planIptablesRule(rule, name));
  }
  const chains = rules.flatMap(({ nft }) => nft);
  if (chains.length === 0) return [];
  return [{
    what: `firewall table ${name}`,
    isThere: false,
    make: command("nft", `table ip ${name} { ${chains.join(" ")} }`),
    undo: command("nft", `delete table ip ${name}`),
    kept: { is: (_, hasFirewall) => hasFirewall, clean: [command("nft", `delete table ip ${name}`)] },
  }];
}

/**
 * Without the comment, iptables would delete another rule that says the same in the place of ours.
 */
function planIptablesRule({ what, table, words }: IptablesRule, comment: string): Change {
  const rule = (verb: string, words: readonly string[]) =>
    command("iptables", "-w", "-t", table, verb, ...words, "-m", "comment", "--comment", comment);
  // For a list of destinations there is a rule each, and some of them may be left.
  const to = words.indexOf("-d") + 1;
  const single = to === 0 ? [words] : words[to]!.split(",").map((destination) => words.with(to, destination));
  return {
    what,
    isThere: false,
    make: rule("-A", words),
    undo: rule("-D", words),
    kept: { is: (_, hasFirewall) => hasFirewall, clean: single.map((words) => rule("-D", words)) },
  };
}
