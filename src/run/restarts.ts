/**
 * Restarts routers that die, so that a run goes on without them and then with them again.
 *
 * ```
 *   ready ── dies ──► lost ── pause, launch ──► starting ── up, settings, ready ──► ready
 *                       ▲                          │ dies
 *                       └──────────────────────────┘ the pause doubles
 * ```
 *
 * @module
 */
import type { RouterSettings } from "../control/messages.ts";
import { OperatorError } from "../errors.ts";
import { diagnostics } from "../log/diagnostics.ts";
import { unlessAborted, within } from "../sys/abort.ts";
import type { RouterHandle, RouterUp } from "./launch/launcher.ts";
import type { Routers } from "./routers.ts";

/**
 * Milliseconds: the pause before a restart, which doubles up to a maximum, and the life of a router
 * after which its pause is short again.
 */
export const RESTART = { pause: 100, maxPause: 10_000, proven: 60_000 } as const;

/** Milliseconds that the other routers have to acknowledge a new neighbour. */
const TOLD = 1000;

/** What a run does when a router dies and comes back. */
interface Network {
  /** The router is gone: nothing is sent to it from now on. */
  lost(router: RouterHandle, reason: string): void;
  /** Its new process is up. Returns the settings for it. */
  settingsOf(number: number, up: RouterUp): RouterSettings;
  /**
   * It is ready, and its neighbours know it.
   *
   * @param key its new static public key, if it seals
   * @param after milliseconds since its death
   */
  back(number: number, up: RouterUp, key: Uint8Array<ArrayBuffer> | undefined, after: number): void;
}

/** Restarts the routers of a run until it is disposed of. */
export class Restarts implements AsyncDisposable {
  readonly #routers: Routers;
  readonly #network: Network;
  readonly #log = diagnostics("proxy");
  readonly #over = new AbortController();
  /** The numbers of the routers that have their settings, and of those that are lost. */
  readonly #configured: Set<number>;
  readonly #lost = new Set<number>();
  readonly #watching: Promise<void[]>;

  /**
   * Sees to failures from now on.
   *
   * @param routers all of them ready
   * @param fail ends the run after an internal error
   */
  constructor(routers: Routers, network: Network, fail: (error: unknown) => void) {
    this.#routers = routers;
    this.#network = network;
    this.#configured = new Set(routers.all.map(({ number }) => number));
    routers.catchFailures();
    const watch = (router: RouterHandle) =>
      this.#watch(router).catch((error) => this.#over.signal.aborted ? undefined : fail(error));
    this.#watching = Promise.all(routers.all.map(watch));
  }

  /** Restarts nothing any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#watching;
  }

  async #watch(router: RouterHandle): Promise<never> {
    let pause: number = RESTART.pause;
    for (;;) {
      const readyAt = performance.now();
      const { message } = await unlessAborted(router.failed, this.#over.signal);
      const diedAt = performance.now();
      if (diedAt - readyAt > RESTART.proven) pause = RESTART.pause;
      this.#lose(router, message);
      for (let isReady = false; !isReady;) {
        await router.kill();
        await this.#wait(pause);
        pause = Math.min(2 * pause, RESTART.maxPause);
        try {
          router = await this.#routers.relaunch(router.number);
          this.#log.info("{label} has been started in its place", { label: router.label });
          await this.#bringUp(router, diedAt);
          isReady = true;
        } catch (error) {
          if (!(error instanceof OperatorError)) throw error;
          this.#log.warn("{reason}", { reason: error.message });
        }
      }
    }
  }

  /** Tells everybody that a router is gone. */
  #lose(router: RouterHandle, reason: string): void {
    const { number } = router;
    this.#lost.add(number);
    this.#configured.delete(number);
    this.#log.warn("{reason}", { reason });
    this.#network.lost(router, reason);
    for (const other of this.#others(number)) other.replaceNeighbour({ number });
  }

  /** Gives a new process its settings, and tells everybody when it is ready. */
  async #bringUp(router: RouterHandle, diedAt: number): Promise<void> {
    const { number } = router;
    const up = await this.#unlessFailed(router, router.up);
    router.configure(this.#network.settingsOf(number, up));
    this.#configured.add(number);
    for (const lost of this.#lost) if (lost !== number) router.replaceNeighbour({ number: lost });
    const { key } = await this.#unlessFailed(router, router.ready);
    for (const other of this.#others(number)) other.replaceNeighbour({ number, link: up.link });
    await this.#unlessFailed(router, this.#routers.flush(TOLD));
    this.#lost.delete(number);
    const after = performance.now() - diedAt;
    this.#network.back(number, up, key, after);
    this.#log.info("router {number} is up again after {seconds} s", {
      number,
      seconds: (after / 1000).toFixed(1),
    });
  }

  /** @throws {OperatorError} if the router fails meanwhile */
  async #unlessFailed<T>(router: RouterHandle, promise: Promise<T>): Promise<T> {
    const result = await unlessAborted(Promise.race([promise, router.failed]), this.#over.signal);
    if (!(result instanceof OperatorError)) return result;
    this.#configured.delete(router.number);
    throw result;
  }

  async #wait(milliseconds: number): Promise<void> {
    const { signal } = this.#over;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (!signal.aborted) await within(milliseconds, over);
    signal.throwIfAborted();
  }

  /** The other routers that have their settings. */
  #others(number: number): RouterHandle[] {
    return this.#routers.all.filter((other) => other.number !== number && this.#configured.has(other.number));
  }
}
