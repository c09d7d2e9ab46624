/**
 * All routers of a run.
 *
 * @module
 */
import type { RouterReady, RouterSettings } from "../control/messages.ts";
import { OperatorError } from "../errors.ts";
import { diagnostics } from "../log/diagnostics.ts";
import { unlessAborted } from "../sys/abort.ts";
import { addUp, type Snapshot } from "../trace/counters.ts";
import { ChildLauncher } from "./launch/child.ts";
import type { Launcher, RouterHandle, RouterUp } from "./launch/launcher.ts";
import { selfCommand } from "./self.ts";

/** What the processes of one router have counted together. */
interface Reported {
  readonly number: number;
  readonly counters: Snapshot;
  /** The number of control datagrams that they have rejected. */
  readonly rejected: number;
  /** The number of processes after the first. */
  readonly restarts: number;
}

/** The routers of a run, launched in order and stopped together. */
export class Routers implements AsyncDisposable {
  readonly #launcher: Launcher;
  /** The latest process of each router. */
  readonly #handles: RouterHandle[] = [];
  /** What their earlier processes have counted, by number. */
  readonly #past = new Map<number, Reported>();
  readonly #failed = Promise.withResolvers<OperatorError>();
  /** Resolves when the first router fails, until {@linkcode Routers.catchFailures}. */
  readonly failed: Promise<OperatorError> = this.#failed.promise;
  #areFailuresCaught = false;
  #isStopping = false;

  /**
   * Starts the first router early, because it is the slowest part of a start. Its settings follow
   * once it is up.
   *
   * @returns `undefined` on failure; the run then fails in `start`, with the reason
   */
  static async ahead(): Promise<Routers | undefined> {
    try {
      await using stack = new AsyncDisposableStack();
      const routers = stack.use(new Routers());
      await routers.start(1);
      stack.move();
      return routers;
    } catch {
      return undefined;
    }
  }

  /** @param launcher launches the routers, and is disposed of with them */
  constructor(launcher: Launcher = new ChildLauncher(selfCommand(["router"]))) {
    this.#launcher = launcher;
  }

  /** Launches routers up to this number, except those already launched. */
  async start(last: number): Promise<void> {
    while (this.#handles.length < last) {
      this.#handles.push(await this.#launch(this.#handles.length + 1));
    }
  }

  /** From now on, the caller sees to routers that fail. */
  catchFailures(): void {
    this.#areFailuresCaught = true;
  }

  /**
   * Launches a new process of a router whose last one was killed.
   *
   * @throws {OperatorError} if it cannot be started
   */
  async relaunch(number: number): Promise<RouterHandle> {
    try {
      const handle = await this.#launch(number);
      const past = this.#report(number);
      this.#past.set(number, { ...past, restarts: past.restarts + 1 });
      return this.#handles[number - 1] = handle;
    } catch (cause) {
      const fault = `router ${number} cannot be started: ${(cause as Error).message}`;
      throw new OperatorError(fault, "free memory or processes", undefined, { cause });
    }
  }

  async #launch(number: number): Promise<RouterHandle> {
    const handle = await this.#launcher.launch(number);
    void handle.failed.then((error) => this.#areFailuresCaught || this.#failed.resolve(error));
    return handle;
  }

  /** The port of the proxy's end of the control channel. */
  get controlPort(): number {
    return this.#launcher.controlPort;
  }

  /** The number of rejected control datagrams by receiver. */
  get rejected(): Record<string, number> {
    const routers = this.reports.map(({ number, rejected }) => [`router ${number}`, rejected] as const);
    return { proxy: this.#launcher.rejected, ...Object.fromEntries(routers) };
  }

  /** What each router has counted, over all its processes. */
  get reports(): readonly Reported[] {
    return this.#handles.map(({ number }) => this.#report(number));
  }

  /** The latest process of each router, in the order of their numbers. */
  get all(): readonly RouterHandle[] {
    return this.#handles;
  }

  /** Waits until all routers are up. */
  allUp(signal: AbortSignal): Promise<RouterUp[]> {
    return unlessAborted(Promise.all(this.#handles.map(({ up }) => up)), signal);
  }

  /**
   * Sends each router its settings and waits until all are ready.
   *
   * @returns what each router reports
   */
  configure(
    settingsOf: (number: number) => RouterSettings,
    signal: AbortSignal,
  ): Promise<RouterReady[]> {
    for (const handle of this.#handles) handle.configure(settingsOf(handle.number));
    return unlessAborted(Promise.all(this.#handles.map(({ ready }) => ready)), signal);
  }

  /** Waits until the routers have acknowledged all messages, for at most `timeout` ms. */
  flush(timeout: number): Promise<void> {
    return this.#launcher.flush(timeout);
  }

  #report(number: number): Reported {
    const { counters, rejected } = this.#handles[number - 1]!;
    const past = this.#past.get(number) ?? { counters: {}, rejected: 0, restarts: 0 };
    return {
      number,
      counters: addUp(past.counters, counters),
      rejected: past.rejected + rejected,
      restarts: past.restarts,
    };
  }

  /** Stops all routers and closes the control channel. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const stopped = await Promise.all(this.#handles.map((handle) => handle.stop()));
    if (stopped.includes(false)) {
      diagnostics("proxy").warn("a router did not stop when asked to, and was killed");
    }
    await this.#launcher[Symbol.asyncDispose]();
  }
}
