/**
 * Tells whether a run's firewall rules are still there. With nft, the kernel reports changes and
 * shows the rules, so no program starts. Nobody reports the changes of `iptables-legacy`, so with
 * iptables a program lists the rules now and then.
 *
 * @module
 */
import { FirewallMonitor, rulesOf } from "../sys/nftables.ts";
import { execute } from "./apply/programs.ts";
import { type FirewallTool, ownName } from "./plan/firewall.ts";

/** Guards the firewall rules of one run. */
export interface FirewallGuard extends Disposable {
  /** Whether it is time to look, because somebody changed something or might have. */
  isDue(now: number): boolean;
  /** Whether all rules are there. */
  isIntact(): Promise<boolean>;
  /** Takes the rules that are there now, just made again, for those that must be there. */
  learn(): void;
}

/**
 * Starts to guard.
 *
 * @param owner the run's process id
 * @param count how many rules of iptables the run has
 * @throws {SysError}
 */
export function guardFirewall(tool: FirewallTool, owner: number, count: number): FirewallGuard {
  const name = ownName(owner);
  return tool === "nft" ? new NftGuard(name) : new IptablesGuard(name, count);
}

class NftGuard implements FirewallGuard {
  readonly #table: string;
  readonly #monitor = FirewallMonitor.open();
  /** The rules as they must be. */
  #wanted: string;

  constructor(table: string) {
    this.#table = table;
    this.#wanted = rulesOf(table);
  }

  isDue(): boolean {
    return this.#monitor.hasChanged();
  }

  isIntact(): Promise<boolean> {
    return Promise.resolve(this.#wanted !== "" && rulesOf(this.#table) === this.#wanted);
  }

  learn(): void {
    this.#wanted = rulesOf(this.#table);
  }

  [Symbol.dispose](): void {
    this.#monitor[Symbol.dispose]();
  }
}

/** Milliseconds between looks at the rules of iptables. */
const LOOK = 750;

class IptablesGuard implements FirewallGuard {
  /** The comment at our rules. */
  readonly #comment: string;
  readonly #count: number;
  #lookedAt = 0;

  constructor(comment: string, count: number) {
    this.#comment = comment;
    this.#count = count;
  }

  isDue(now: number): boolean {
    if (now - this.#lookedAt < LOOK) return false;
    this.#lookedAt = now;
    return true;
  }

  async isIntact(): Promise<boolean> {
    const ours = new RegExp(`\\b${this.#comment}\\b`);
    const rules = (await execute(["iptables-save"])).split("\n");
    return rules.filter((rule) => ours.test(rule)).length === this.#count;
  }

  learn(): void {}

  [Symbol.dispose](): void {}
}
