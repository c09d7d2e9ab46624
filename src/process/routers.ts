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
import { unlessAborted, within } from "./abort.ts";
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
  heardAt = performance.now();
  counters: Snapshot = {};
  rejected = 0;

  constructor(readonly process: RouterProcess) {
    this.ended = process.ended();
  }
}

/** What the proxy shares with one router. */
interface Session {
  readonly key: Uint8Array<ArrayBuffer>;
  readonly codec: FrameCodec;
}

/** All routers of a run. */
export class Routers implements AsyncDisposable {
  readonly #routers: readonly Router[];
  readonly #channel: ControlChannel<ProxyMessage, RouterMessage>;
  readonly #fail: (error: OperatorError) => void;
  readonly #over: AbortSignal;
  readonly #stopWatching: Cancel;
  #lookedAt = performance.now();
  #isStopping = false;

  private constructor(
    sessions: readonly Session[],
    fail: (error: OperatorError) => void,
    over: AbortSignal,
  ) {
    this.#fail = fail;
    this.#over = over;
    this.#channel = new ControlChannel({
      self: PROXY,
      take: (from, message) => this.#take(from, message),
    });
    this.#routers = sessions.map((session, index) => this.#spawn(index + 1, session));
    this.#stopWatching = every(SILENCE.look, () => this.#lookForSilence());
  }

  /**
   * Opens the control channel and starts the routers' processes.
   *
   * @param fail told when a router has died, has gone silent, or says that it cannot go on
   * @param over aborts when the run is to end: what becomes of routers from then on is no failure
   */
  static async start(
    count: number,
    fail: (error: OperatorError) => void,
    over: AbortSignal,
  ): Promise<Routers> {
    // A key each: no router can speak for another.
    const sessions = await Promise.all(Array.from({ length: count }, async () => {
      const key = makeSessionKey();
      return { key, codec: await FrameCodec.of(key) };
    }));
    const routers = new Routers(sessions, fail, over);
    wipe(...sessions.map(({ key }) => key));
    return routers;
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

  /** Asks the routers to stop, waits for it, kills those that don't, and closes the control channel. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#stopWatching();
    for (const { process } of this.#routers) this.#channel.say(process.number, { type: "stop" });
    const ended = Promise.all(this.#routers.map((router) => router.ended));
    if (!await within(STOPPING, ended)) {
      diagnostics("proxy").warn("a router did not stop when it was asked to, and was killed");
      for (const { process } of this.#routers) process.kill();
      await ended;
    }
    await Promise.all(this.#routers.map((router) => router.process.release()));
    await this.#channel[Symbol.asyncDispose]();
  }

  #spawn(number: number, { key, codec }: Session): Router {
    this.#channel.addParty(number, codec);
    const log = diagnostics(`router ${number}`);
    const process = new RouterProcess(
      number,
      this.#channel.port,
      key,
      (line) => log.warn("{line}", { line }),
    );
    const router = new Router(process);
    void this.#awaitEnd(router);
    return router;
  }

  #router(number: number): Router {
    return this.#routers[number - 1]!;
  }

  #take(from: number, message: RouterMessage): void {
    const router = this.#router(from);
    router.heardAt = performance.now();
    switch (message.type) {
      case "up":
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

  /**
   * Tells of a failure, unless the run is ending. A signal may have been meant for routers and proxy alike, and the proxy
   * may have heard it without having got as far as to stop them: it finishes the change to the host that it is at.
   */
  #report(error: OperatorError): void {
    if (!this.#isStopping && !this.#over.aborted) this.#fail(error);
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
