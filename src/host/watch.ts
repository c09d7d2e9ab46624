/**
 * The watch over the host while a run is up: hears of changes, looks at what they concern, and puts
 * back what is lost.
 *
 * @module
 */
import { NetworkMonitor } from "../sys/netlink.ts";
import { type Cancel, every } from "../sys/timer.ts";
import { carryOut } from "./apply/actions.ts";
import { readHostState } from "./state.ts";
import { type Needs, type Say, Upkeep } from "./upkeep.ts";

/** Milliseconds between two times at which it listens: one system call, and mostly nothing else. */
const LISTEN = 250;

/** Milliseconds from one look to the next at the least, for a look starts programs. */
const REST = 500;

/**
 * Milliseconds until what could not be put back is tried again, unless something is heard before.
 */
const AGAIN = 5000;

/** A watch. It ends, with what it is doing, when it is disposed of. */
export class HostWatch implements AsyncDisposable {
  readonly #upkeep: Upkeep;
  readonly #say: (say: Say) => void;
  readonly #monitor = NetworkMonitor.open();
  readonly #stopListening: Cancel;
  /** When a look is called for, and when it may be at the earliest. */
  #dueAt = Infinity;
  #restedAt = 0;
  #looking: Promise<void> | undefined;
  #isOver = false;

  /**
   * Starts it.
   *
   * @param needs what is there now, and is to stay
   * @param say told what an operator should know
   * @throws {SysError}
   */
  constructor(needs: Needs, say: (say: Say) => void) {
    this.#upkeep = new Upkeep(needs);
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
    // All of them are taken, for what is not would be heard of when it is no news.
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
      isWell = await this.#mend();
    } catch (error) {
      this.#say({ level: "warn", text: `cannot look at the network: ${(error as Error).message}` });
    }
    const now = performance.now();
    this.#restedAt = now + REST;
    if (!isWell) this.#dueAt = Math.min(this.#dueAt, now + AGAIN);
  }

  /** Looks, and puts back what is lost: whether nothing is left to do. */
  async #mend(): Promise<boolean> {
    const { says, lost } = this.#upkeep.look(await readHostState());
    says.forEach(this.#say);
    const tried: { what: string; error?: string }[] = [];
    for (const { what, make } of lost) {
      // What the end of the run has begun to undo stays undone.
      if (this.#isOver) break;
      const error = await carryOut(make).then(() => undefined, (error: Error) => error.message);
      tried.push({ what, ...(error !== undefined && { error }) });
    }
    this.#upkeep.told(tried).forEach(this.#say);
    return tried.every(({ error }) => error === undefined);
  }
}
