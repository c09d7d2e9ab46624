/**
 * All routers of a run.
 *
 * @module
 */
import type { RouterSettings } from "../control/messages.ts";
import type { OperatorError } from "../errors.ts";
import { diagnostics } from "../log/diagnostics.ts";
import { unlessAborted } from "../sys/abort.ts";
import { ChildLauncher } from "./launch/child.ts";
import type { Launcher, RouterHandle, RouterUp } from "./launch/launcher.ts";
import { selfCommand } from "./self.ts";

/** The routers of a run, launched in order and stopped together. */
export class Routers implements AsyncDisposable {
  readonly #launcher: Launcher;
  readonly #handles: RouterHandle[] = [];
  readonly #failed = Promise.withResolvers<OperatorError>();
  /** Resolves when the first router fails. */
  readonly failed: Promise<OperatorError> = this.#failed.promise;
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
      const handle = await this.#launcher.launch(this.#handles.length + 1);
      this.#handles.push(handle);
      void handle.failed.then(this.#failed.resolve);
    }
  }

  /** The port of the proxy's end of the control channel. */
  get controlPort(): number {
    return this.#launcher.controlPort;
  }

  /** The number of rejected control datagrams by receiver. */
  get rejected(): Record<string, number> {
    const routers = this.#handles.map(({ number, rejected }) => [`router ${number}`, rejected] as const);
    return { proxy: this.#launcher.rejected, ...Object.fromEntries(routers) };
  }

  /** All routers in the order of their numbers. */
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
   * @returns the static public key of each router that seals
   */
  configure(
    settingsOf: (number: number) => RouterSettings,
    signal: AbortSignal,
  ): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
    for (const handle of this.#handles) handle.configure(settingsOf(handle.number));
    return unlessAborted(Promise.all(this.#handles.map(({ ready }) => ready)), signal);
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
