/**
 * Talks to routers over the control channel and notices when one fails. Does not know where they
 * run.
 *
 * @module
 */
import { ControlChannel } from "../../control/channel.ts";
import { FrameCodec, PROXY } from "../../control/frame.ts";
import {
  PROTOCOL_VERSION,
  PROXY_MESSAGE,
  type ProxyMessage,
  type ReplacedRouter,
  ROUTER_MESSAGE,
  type RouterMessage,
  type RouterReady,
  type RouterSettings,
} from "../../control/messages.ts";
import { OperatorError } from "../../errors.ts";
import { LOOPBACK } from "../../ip/address.ts";
import { within } from "../../sys/abort.ts";
import { type Cancel, every, sleep } from "../../sys/timer.ts";
import type { Snapshot } from "../../trace/counters.ts";
import type { RouterHandle, RouterUp } from "./launcher.ts";

/** Max milliseconds between two messages of a router, and the interval at which that is checked. */
interface Silence {
  readonly max: number;
  readonly check: number;
}

/** The default. A router on a busy machine may be slow, but one that hangs is of no use. */
export const SILENCE: Silence = { max: 60_000, check: 500 };

/** Milliseconds that a router has to stop before it is killed. */
const STOPPING = 2000;

/** Milliseconds to wait whether a signal that ended a router has reached the proxy too. */
const SAME_SIGNAL = 300;

const REMEDY = "start again, with --log-level debug to see more";

/** What a router runs in, such as a process. */
export interface RouterBody {
  /** The router's number. */
  readonly number: number;
  /** Its name in messages, e.g. `router 1 (pid 4711)`. */
  readonly label: string;
  /** Its last words on stderr, in one line; may be empty. */
  readonly lastWords: string;
  /** Resolves when it has ended and its last words are complete. */
  readonly ended: Promise<BodyEnd>;
  /** Whether it is stopped or frozen, and so cannot speak. */
  readonly isHalted: boolean;
  /** Kills it. */
  kill(): void;
  /** Frees its resources here, after its end. */
  release(): Promise<void>;
}

/** How a body ended. */
export interface BodyEnd {
  /** E.g. `exit code 1` or `SIGKILL`. */
  readonly how: string;
  /** Whether it was ended by a signal that the proxy may have got too. */
  readonly bySharedSignal: boolean;
}

/** The proxy's end of the control channel, and the routers at the other end. */
export class Supervisor implements AsyncDisposable {
  readonly #channel: ControlChannel<ProxyMessage, RouterMessage>;
  readonly #routers = new Map<number, SupervisedRouter>();
  readonly #silence: Silence;
  readonly #stopWatching: Cancel;
  #checkedAt = performance.now();

  /** Opens the control channel. */
  constructor(silence: Silence = SILENCE) {
    this.#silence = silence;
    this.#channel = new ControlChannel({
      self: PROXY,
      mine: PROXY_MESSAGE,
      theirs: ROUTER_MESSAGE,
      take: (from, message) => this.#routers.get(from)!.take(message, this.#channel.portOf(from)!),
      refused: (from, { message }) =>
        this.#routers.get(from)!.fail(
          `router ${from} sent a control message that makes no sense: ${message}`,
        ),
    });
    this.#stopWatching = every(silence.check, () => this.#checkForSilence());
  }

  /** The port of the control channel. */
  get port(): number {
    return this.#channel.port;
  }

  /** The number of control datagrams that were forged, garbled, or meant for another party. */
  get rejected(): number {
    return this.#channel.rejected;
  }

  /**
   * Watches a router from now on.
   *
   * @param sessionKey the router's key, which the caller may wipe afterwards
   */
  async supervise(body: RouterBody, sessionKey: Uint8Array<ArrayBuffer>): Promise<RouterHandle> {
    const { number } = body;
    const router = new SupervisedRouter(body, {
      say: (message) => this.#channel.say(number, message),
      ended: () => this.#channel.removeParty(number),
    });
    // Far quicker than a router's start, so its first frame is not rejected.
    this.#channel.addParty(number, await FrameCodec.of(sessionKey));
    this.#routers.set(number, router);
    return router;
  }

  /** Waits until the routers have acknowledged all messages, for at most `timeout` ms. */
  flush(timeout: number): Promise<void> {
    return this.#channel.flush(timeout);
  }

  /** Closes the control channel. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopWatching();
    await this.#channel[Symbol.asyncDispose]();
  }

  #checkForSilence(): void {
    const now = performance.now();
    // This process may itself have been stopped, e.g. with Ctrl+Z, and could not listen.
    const hasSlept = now - this.#checkedAt > 2 * this.#silence.check;
    this.#checkedAt = now;
    for (const router of this.#routers.values()) {
      if (hasSlept) router.heardAt = now;
      if (now - router.heardAt > this.#silence.max) router.checkSilence(now);
    }
  }
}

/** What a router needs of its supervisor. */
interface Line {
  /** Sends it a message. */
  say(message: ProxyMessage): void;
  /** Ends the conversation with it. */
  ended(): void;
}

/** A router under supervision. */
class SupervisedRouter implements RouterHandle {
  readonly #body: RouterBody;
  readonly #line: Line;
  readonly #up = Promise.withResolvers<RouterUp>();
  readonly #ready = Promise.withResolvers<RouterReady>();
  readonly #failed = Promise.withResolvers<OperatorError>();
  readonly number: number;
  readonly label: string;
  readonly up: Promise<RouterUp> = this.#up.promise;
  readonly ready: Promise<RouterReady> = this.#ready.promise;
  readonly failed: Promise<OperatorError> = this.#failed.promise;
  #isUp = false;
  #isStopping = false;
  /** When it was last heard, in ms. */
  heardAt = performance.now();
  counters: Snapshot = {};
  rejected = 0;

  constructor(body: RouterBody, line: Line) {
    this.#body = body;
    this.#line = line;
    this.number = body.number;
    this.label = body.label;
    void this.#failByEnd();
  }

  configure(settings: RouterSettings): void {
    this.#line.say({ type: "settings", version: PROTOCOL_VERSION, ...settings });
  }

  replaceNeighbour(other: ReplacedRouter): void {
    this.#line.say({ type: "neighbour", ...other });
  }

  async kill(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#body.kill();
    await this.#body.ended;
    this.#line.ended();
    await this.#body.release();
  }

  async stop(): Promise<boolean> {
    if (this.#isStopping) return true;
    this.#isStopping = true;
    // A router that is not up yet has no log to finish.
    if (this.#isUp) this.#line.say({ type: "stop" });
    else this.#body.kill();
    const hasStopped = await within(STOPPING, this.#body.ended);
    if (!hasStopped) {
      this.#body.kill();
      await this.#body.ended;
    }
    await this.#body.release();
    return hasStopped;
  }

  take(message: RouterMessage, controlPort: number): void {
    this.heardAt = performance.now();
    switch (message.type) {
      case "up":
        this.#isUp = true;
        return this.#up.resolve({
          pid: message.pid,
          link: { address: LOOPBACK, port: message.port },
          controlPort,
        });
      case "ready":
        return this.#ready.resolve(message);
      case "alive":
      case "stopped":
        this.counters = message.counters;
        this.rejected = message.rejected;
        return;
      case "failed":
        return this.fail(`router ${this.number} failed: ${message.message}`);
    }
  }

  fail(reason: string): void {
    if (!this.#isStopping) this.#failed.resolve(new OperatorError(reason, REMEDY));
  }

  /** Fails the router, unless it is halted and cannot speak. */
  checkSilence(now: number): void {
    if (this.#body.isHalted) {
      this.heardAt = now;
      return;
    }
    const { lastWords } = this.#body;
    const end = lastWords === "" ? "" : `; its last words: ${lastWords}`;
    const seconds = Math.round((now - this.heardAt) / 1000);
    this.fail(`${this.label} has said nothing for ${seconds} s${end}`);
  }

  async #failByEnd(): Promise<void> {
    const { how, bySharedSignal } = await this.#body.ended;
    if (bySharedSignal && !this.#isStopping) await sleep(SAME_SIGNAL);
    const { lastWords } = this.#body;
    this.fail(`${this.label} died: ${how}${lastWords === "" ? "" : `: ${lastWords}`}`);
  }
}
