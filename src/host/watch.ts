/**
 * Watches the host while a run is up: hears of changes, looks whether they matter, and puts back
 * lost routes.
 *
 * @module
 */
import { NetworkMonitor } from "../sys/netlink.ts";
import { type Cancel, every } from "../sys/timer.ts";
import { carryOut } from "./apply/actions.ts";
import { readHostState } from "./state.ts";
import type { Ways } from "./ways.ts";
import { type Needs, type Say, Upkeep } from "./upkeep.ts";

/** Milliseconds between checks for events. A check is one system call, and mostly nothing else. */
const LISTEN = 250;

/** Min milliseconds from one look to the next, because a look starts programs. */
const REST = 500;

/**
 * Milliseconds until a route that could not be put back is tried again, unless an event comes
 * first.
 */
const AGAIN = 5000;

/** A watch. Disposing of it ends it, after the look that is under way. */
export class HostWatch implements AsyncDisposable {
  readonly #upkeep: Upkeep;
  readonly #ways: Ways;
  readonly #say: (say: Say) => void;
  readonly #monitor = NetworkMonitor.open();
  readonly #stopListening: Cancel;
  /** When a look is due, and the earliest time at which it may happen. */
  #dueAt = Infinity;
  #restedAt = 0;
  #looking: Promise<void> | undefined;
  #isOver = false;

  /**
   * Starts it.
   *
   * @param needs what the run needs, all of it in place
   * @param ways the ways of the run's packets
   * @param say receives the messages to the operator
   * @throws {SysError}
   */
  constructor(needs: Needs, ways: Ways, say: (say: Say) => void) {
    this.#upkeep = new Upkeep(needs);
    this.#ways = ways;
    this.#say = say;
    this.#stopListening = every(LISTEN, () => this.#listen());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#stopListening();
    await this.#looking;
    this.#monitor[Symbol.dispose]();
  }

  #listen(): void {
    // Takes all events, because one that stayed would be heard when it is out of date.
    const concerning = this.#monitor.take().filter((event) => this.#upkeep.concerns(event));
    const now = performance.now();
    if (concerning.length > 0) this.#dueAt = Math.min(this.#dueAt, now);
    if (this.#looking !== undefined || now < Math.max(this.#dueAt, this.#restedAt)) return;
    this.#dueAt = Infinity;
    this.#looking = this.#look().finally(() => this.#looking = undefined);
  }

  async #look(): Promise<void> {
    let isWell = false;
    try {
      isWell = await this.#repair();
    } catch (error) {
      this.#say({ level: "warn", text: `cannot look at the network: ${(error as Error).message}` });
    }
    const now = performance.now();
    this.#restedAt = now + REST;
    if (!isWell) this.#dueAt = Math.min(this.#dueAt, now + AGAIN);
  }

  /** Looks, and puts back lost routes. Returns whether nothing is left to do. */
  async #repair(): Promise<boolean> {
    const state = await readHostState();
    const { says, lost } = this.#upkeep.look(state);
    says.forEach(this.#say);
    const tried: { what: string; error?: string }[] = [];
    for (const { what, make } of lost) {
      // The end of the run may be undoing these changes already.
      if (this.#isOver) break;
      const error = await carryOut(make).then(() => undefined, (error: Error) => error.message);
      tried.push({ what, ...(error !== undefined && { error }) });
    }
    this.#upkeep.told(tried).forEach(this.#say);
    this.#ways.look(state).forEach(this.#say);
    return tried.every(({ error }) => error === undefined);
  }
}
