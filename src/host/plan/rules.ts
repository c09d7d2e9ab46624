/**
 * Policy routing rules (ip-rule(8)).
 *
 * @module
 */
import { OperatorError } from "../../errors.ts";
import { formatIp, type IpAddress, UNSPECIFIED } from "../../ip/address.ts";
import { command } from "./action.ts";
import type { Change } from "./change.ts";
import { type Rule, Table } from "./state.ts";

/** The priority of the kernel's own rule for the main table. A rule after it has no effect. */
const MAIN_PRIORITY = 32_766;

/** Our marks begin with "on" in ASCII. A router's is this one plus the number of its own table. */
export const CAPTURE_MARK = 0x6f6e_0000;

/** The part of a mark that tells ours from others. */
export const MARK_MASK = 0xffff_0000;

/**
 * The packets that a rule applies to: those from an address, or those with a mark. The address
 * 0.0.0.0 stands for packets whose source the kernel has yet to choose.
 */
type RuleSelector = { readonly from: IpAddress } | { readonly mark: number };

/**
 * The rule that leads exactly these packets to this table.
 *
 * @param before the priority of the rule that it must precede
 */
export function findRule(
  selector: RuleSelector,
  table: number,
  rules: readonly Rule[],
  before: number = MAIN_PRIORITY,
): Rule | undefined {
  return rules.find((rule) =>
    rule.priority < before && leads(rule, selector, table) && isExact(rule, selector)
  );
}

/**
 * The change that leads packets to a table.
 *
 * @param before the priority of the rule that it must precede
 * @throws {OperatorError} if undoing it might delete another rule
 */
export function planRule(
  what: string,
  selector: RuleSelector,
  table: number,
  priority: number,
  rules: readonly Rule[],
  before?: number,
): Change {
  const isThere = findRule(selector, table, rules, before) !== undefined;
  // The kernel deletes the first rule that matches, even if that rule has more conditions.
  const twin = rules.find((rule) => rule.priority === priority && leads(rule, selector, table));
  if (!isThere && twin !== undefined) {
    throw new OperatorError(
      `priority ${priority} is in use: it has a narrower ${what}`,
      "choose another with --priority",
    );
  }
  const packets = "from" in selector ? ["from", wordOf(selector.from)] : ["fwmark", hex(selector.mark)];
  const name = table === Table.main ? "main" : `${table}`;
  const words = [...packets, "table", name, "priority", `${priority}`];
  return {
    what,
    isThere,
    make: command("ip", "rule", "add", ...words),
    undo: command("ip", "rule", "delete", ...words),
    kept: { is: ({ rules }) => findRule(selector, table, rules, before) !== undefined },
  };
}

function leads(rule: Rule, selector: RuleSelector, table: number): boolean {
  if (rule.table !== table) return false;
  return "from" in selector ? rule.src === formatIp(selector.from) : rule.fwmark === hex(selector.mark);
}

function isExact({ src, fwmark, others }: Rule, selector: RuleSelector): boolean {
  return others.length === 0 && ("from" in selector ? fwmark === undefined : src === "all");
}

/** Writes 0.0.0.0 with its prefix, because without one it reads like "all". */
function wordOf(address: IpAddress): string {
  return address === UNSPECIFIED ? `${formatIp(address)}/32` : formatIp(address);
}

/** Formats a mark as `ip` and `nft` do. */
export function hex(mark: number): string {
  return `0x${mark.toString(16)}`;
}
