/**
 * Watches the host while a run is up: hears of changes, looks whether they matter, and puts back
 * what is lost.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { NetworkMonitor } from "../sys/netlink.ts";
import { type Cancel, every } from "../sys/timer.ts";
import { carryOut, carryOutFirst } from "./apply/actions.ts";
import type { Journal } from "./apply/journal.ts";
import { entryOf } from "./apply/make_changes.ts";
import { readSysctl } from "./apply/sysctl.ts";
import { type FirewallGuard, guardFirewall } from "./firewall_guard.ts";
import type { HostPlan } from "./host_plan.ts";
import type { UndoAction } from "./plan/action.ts";
import type { FirewallTool } from "./plan/firewall.ts";
import type { HostState } from "./plan/state.ts";
import { readHostState } from "./state.ts";
import { type KeptChange, type Needs, type Say, Upkeep } from "./upkeep.ts";
import { Ways } from "./ways.ts";

/** Milliseconds between checks for events. A check is mostly a few system calls, nothing else. */
const LISTEN = 250;

/** Min milliseconds from one look to the next, because a look starts programs. */
const REST = 300;

/** Milliseconds until what could not be put back is tried again, unless an event comes first. */
const AGAIN = 5000;

/** What a watch is given. */
interface Watched {
  /** What the run needs, all of it in place. */
  readonly needs: Needs;
  /** The ways of the run's packets. */
  readonly ways: Ways;
  /** The program that made the firewall rules; undefined if there are none. */
  readonly tool: FirewallTool | undefined;
  /** Plans the run anew, for another captured address; undefined if it must not follow. */
  readonly replan: ((state: HostState) => HostPlan) | undefined;
  readonly journal: Journal;
  /** Receives the messages to the operator. */
  readonly say: (say: Say) => void;
}

/** A watch. Disposing of it ends it, after the look that is under way. */
export class HostWatch implements AsyncDisposable {
  readonly #watched: Watched;
  readonly #upkeep: Upkeep;
  #ways: Ways;
  readonly #monitor = NetworkMonitor.open();
  readonly #guard: FirewallGuard | undefined;
  readonly #stopListening: Cancel;
  /** When a look is due, and the earliest time at which it may happen. */
  #dueAt = Infinity;
  #restedAt = 0;
  #looking: Promise<void> | undefined;
  #isOver = false;

  /**
   * Starts it.
   *
   * @throws {SysError}
   */
  constructor(watched: Watched) {
    this.#watched = watched;
    this.#upkeep = new Upkeep(watched.needs);
    this.#ways = watched.ways;
    // There is an action for each rule of iptables.
    const count = watched.needs.kept.flatMap(({ kept }) => kept.clean ?? []).length;
    this.#guard = watched.tool === undefined ? undefined : guardFirewall(watched.tool, Deno.pid, count);
    this.#stopListening = every(LISTEN, () => this.#listen());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#stopListening();
    await this.#looking;
    this.#monitor[Symbol.dispose]();
    this.#guard?.[Symbol.dispose]();
  }

  #listen(): void {
    // Takes all events, because one that stayed would be heard when it is out of date.
    const concerning = this.#monitor.take().filter((event) => this.#upkeep.concerns(event));
    const now = performance.now();
    const isDue = concerning.length > 0 || this.#upkeep.lacksSysctl(readSysctl);
    if (isDue) this.#dueAt = Math.min(this.#dueAt, now);
    const isFirewallDue = this.#guard?.isDue(now) ?? false;
    if (this.#looking !== undefined) {
      // The look under way may have seen the firewall before.
      if (isFirewallDue) this.#dueAt = Math.min(this.#dueAt, now);
    } else if (now >= Math.max(this.#dueAt, this.#restedAt)) {
      this.#dueAt = Infinity;
      this.#looking = this.#look().finally(() => this.#looking = undefined);
    } else if (isFirewallDue) {
      this.#looking = this.#lookAtFirewall().finally(() => this.#looking = undefined);
    }
  }

  async #look(): Promise<void> {
    let isWell = false;
    try {
      isWell = await this.#repair();
    } catch (error) {
      this.#cannotLook(error);
    }
    const now = performance.now();
    this.#restedAt = now + REST;
    if (!isWell) this.#dueAt = Math.min(this.#dueAt, now + AGAIN);
  }

  /** Somebody changed the firewall, and mostly not our part of it. */
  async #lookAtFirewall(): Promise<void> {
    try {
      if (await this.#guard!.isIntact()) return;
    } catch (error) {
      this.#cannotLook(error);
    }
    this.#dueAt = Math.min(this.#dueAt, performance.now());
  }

  #cannotLook(error: unknown): void {
    this.#watched.say({ level: "warn", text: `cannot look at the network: ${(error as Error).message}` });
  }

  /** Looks, and puts back what is lost. Returns whether nothing is left to do. */
  async #repair(): Promise<boolean> {
    const host = await readHostState();
    if (this.#upkeep.lacksFrom(host)) await this.#follow(host);
    const { says, lost } = this.#upkeep.look(host, await this.#guard?.isIntact() ?? true);
    says.forEach(this.#watched.say);
    const tried = await this.#putBack(lost);
    this.#upkeep.told(tried).forEach(this.#watched.say);
    this.#ways.look(host).forEach(this.#watched.say);
    return tried.every(({ error }) => error === undefined);
  }

  async #putBack(lost: readonly KeptChange[]): Promise<{ what: string; error?: string }[]> {
    await this.#carryOutAnyway(lost.flatMap(({ kept }) => kept.clean ?? []));
    const tried: { what: string; error?: string }[] = [];
    const rest = [...lost];
    // The end of the run may be undoing these changes already.
    while (rest.length > 0 && !this.#isOver) {
      const { done, error } = await carryOutFirst(rest.map(({ make }) => make));
      tried.push(...rest.splice(0, done).map(({ what }) => ({ what })));
      if (error !== undefined) tried.push({ what: rest.shift()!.what, error: error.message });
    }
    if (lost.some(({ kept }) => kept.clean !== undefined)) this.#guard?.learn();
    return tried;
  }

  /** Captures packets from the address that the captured card has now, if there is one. */
  async #follow(host: HostState): Promise<void> {
    const { replan, journal, say } = this.#watched;
    let plan: HostPlan | undefined;
    try {
      plan = replan?.(host);
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
    }
    if (plan?.from === undefined) return; // it is unclear which address that is
    const { dropped, says } = this.#upkeep.follow(plan.needs, host);
    says.forEach(say);
    this.#ways = new Ways(plan.ways);
    await this.#carryOutAnyway(dropped.map(({ undo }) => undo));
    // The next look, at the same host, finds that all of it is lost.
    await journal.change(plan.changes.map((change) => entryOf(change)), async () => {});
  }

  /** Carries out actions, each even if others fail: what they remove may not be there. */
  async #carryOutAnyway(actions: readonly UndoAction[]): Promise<void> {
    for (const action of actions) {
      if (this.#isOver) return;
      await carryOut(action).catch(() => {});
    }
  }
}
