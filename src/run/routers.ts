/**
 * The proxy's routers: starting them, talking to them, noticing their end, and ending them.
 *
 * ```
 *   starting ──"I'm up"──► up ──settings──► ready ──stop──► stopped
 *      └──────── 5 s of silence, or the process's end: the run fails ─────┘
 * ```
 *
 * @module
 */
import { ControlChannel } from "../control/channel.ts";
import {
  FrameCodec,
  makeSessionKey,
  PROXY,
  type ProxyMessage,
  type RouterMessage,
  type RouterSettings,
} from "../control/message.ts";
import { wipe } from "../crypto/wipe.ts";
import { OperatorError } from "../errors.ts";
import { diagnostics } from "../log/diagnostics.ts";
import { type Cancel, every, sleep } from "../sys/timer.ts";
import type { Snapshot } from "../trace/counters.ts";
import { unlessAborted, within } from "../sys/abort.ts";
import { RouterProcess } from "./router_process.ts";

/** Milliseconds without a sign of life after which a router counts as dead, and how often that is looked at. */
const SILENCE = { most: 5000, look: 500 } as const;

/** Milliseconds that routers have to stop before they are killed. */
const STOPPING = 2000;

/** Signals that end a router which does not listen for them yet, and that may have been meant for the whole run. */
const SHARED_SIGNALS: readonly (Deno.Signal | null)[] = ["SIGINT", "SIGHUP", "SIGTERM"];

/** Milliseconds in which such a signal is expected to reach us too. */
const SAME_SIGNAL = 300;

/** One router, as the proxy knows it. */
class Router {
  readonly up = Promise.withResolvers<number>();
  readonly ready = Promise.withResolvers<string | undefined>();
  readonly ended: Promise<Deno.CommandStatus>;
  isUp = false;
  heardAt = performance.now();
  counters: Snapshot = {};
  rejected = 0;

  constructor(readonly process: RouterProcess) {
    this.ended = process.ended();
  }
}

/** All routers of a run. */
export class Routers implements AsyncDisposable {
  readonly #routers: Router[] = [];
  readonly #channel: ControlChannel<ProxyMessage, RouterMessage>;
  readonly #failed = Promise.withResolvers<OperatorError>();
  readonly #stopWatching: Cancel;
  #lookedAt = performance.now();
  #isStopping = false;

  /**
   * The first router of a run, started ahead of everything else: a run waits for it longest, and what it is to be it is told when
   * it is up.
   *
   * @returns nothing where that cannot be; the run says why when it comes to it
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

  /** Opens the control channel. */
  constructor() {
    this.#channel = new ControlChannel({
      self: PROXY,
      take: (from, message) => this.#take(from, message),
    });
    this.#stopWatching = every(SILENCE.look, () => this.#lookForSilence());
  }

  /** Starts the routers' processes, up to the one of this number. Those that have been started before stay. */
  async start(last: number): Promise<void> {
    while (this.#routers.length < last) await this.#spawn(this.#routers.length + 1);
  }

  /** Resolves when a router has died, has gone silent, or says that it cannot go on. */
  get failed(): Promise<OperatorError> {
    return this.#failed.promise;
  }

  /** The port of the proxy's end of the control channel. */
  get controlPort(): number {
    return this.#channel.port;
  }

  /** The port of a router's end of the control channel, once it is up. */
  controlPortOf(number: number): number {
    return this.#channel.portOf(number)!;
  }

  /** Control datagrams that were forged, garbled or meant for somebody else, by the party that they came to. */
  get rejected(): Record<string, number> {
    const routers = this.#routers.map(({ process, rejected }) =>
      [`router ${process.number}`, rejected] as const
    );
    return { proxy: this.#channel.rejected, ...Object.fromEntries(routers) };
  }

  /** The routers' numbers, process ids and counters as last reported. */
  get all(): { readonly number: number; readonly pid: number; readonly counters: Snapshot }[] {
    return this.#routers.map(({ process: { number, pid }, counters }) => ({ number, pid, counters }));
  }

  /** Resolves with the port of a router's data link when it has said that it is up. */
  up(number: number, signal: AbortSignal): Promise<number> {
    return unlessAborted(this.#router(number).up.promise, signal);
  }

  /**
   * Tells a router what to be.
   *
   * @returns its static public key, in hex, where it begins sealed circuits
   */
  configure(number: number, settings: RouterSettings, signal: AbortSignal): Promise<string | undefined> {
    this.#channel.say(number, { type: "settings", settings });
    return unlessAborted(this.#router(number).ready.promise, signal);
  }

  /**
   * Asks the routers to stop, waits for it, kills those that don't, and closes the control channel. Those that are not up yet,
   * and so have nothing to write down, are killed at once.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#stopWatching();
    for (const { process, isUp } of this.#routers) {
      if (isUp) this.#channel.say(process.number, { type: "stop" });
      else process.kill();
    }
    const ended = Promise.all(this.#routers.map((router) => router.ended));
    if (!await within(STOPPING, ended)) {
      diagnostics("proxy").warn("a router did not stop when it was asked to, and was killed");
      for (const { process } of this.#routers) process.kill();
      await ended;
    }
    await Promise.all(this.#routers.map((router) => router.process.release()));
    await this.#channel[Symbol.asyncDispose]();
  }

  async #spawn(number: number): Promise<void> {
    // A key each: no router can speak for another.
    const key = makeSessionKey();
    const log = diagnostics(`router ${number}`);
    const router = new Router(
      new RouterProcess(number, this.#channel.port, key, (line) => log.warn("{line}", { line })),
    );
    this.#routers.push(router);
    void this.#awaitEnd(router);
    // It is not up before we are ready to listen to it.
    this.#channel.addParty(number, await FrameCodec.of(key));
    wipe(key);
  }

  #router(number: number): Router {
    return this.#routers[number - 1]!;
  }

  #take(from: number, message: RouterMessage): void {
    const router = this.#router(from);
    router.heardAt = performance.now();
    switch (message.type) {
      case "up":
        router.isUp = true;
        return router.up.resolve(message.port);
      case "ready":
        return router.ready.resolve(message.key);
      case "alive":
      case "stopped":
        router.counters = message.counters;
        router.rejected = message.rejected;
        return;
      case "failed":
        return this.#report(
          new OperatorError(
            `router ${from} failed: ${message.message}`,
            "start again, with --log-level debug to see more",
          ),
        );
    }
  }

  async #awaitEnd(router: Router): Promise<void> {
    const { code, signal } = await router.ended;
    if (SHARED_SIGNALS.includes(signal) && !this.#isStopping) {
      await sleep(SAME_SIGNAL);
    }
    const { number, pid, lastWords } = router.process;
    const how = signal === null ? `exit code ${code}` : signal;
    this.#report(
      new OperatorError(
        `router ${number} (pid ${pid}) died: ${how}${lastWords === "" ? "" : `: ${lastWords}`}`,
        "start again, with --log-level debug to see more",
      ),
    );
  }

  #report(error: OperatorError): void {
    if (!this.#isStopping) this.#failed.resolve(error);
  }

  #lookForSilence(): void {
    const now = performance.now();
    const slept = now - this.#lookedAt > 2 * SILENCE.look;
    this.#lookedAt = now;
    for (const router of this.#routers) {
      // We did not listen either, e.g. stopped with Ctrl+Z: nobody is to blame.
      if (slept) router.heardAt = now;
      if (now - router.heardAt <= SILENCE.most) continue;
      const { number, pid, lastWords } = router.process;
      this.#report(
        new OperatorError(
          `router ${number} (pid ${pid}) has said nothing for ${SILENCE.most / 1000} s` +
            (lastWords === "" ? "" : `; its last words: ${lastWords}`),
          "start again, with --log-level debug to see more",
        ),
      );
    }
  }
}
