/**
 * A program of a contender. The bench starts it in a namespace, waits for `ready`, watches and ends
 * it.
 *
 * @module
 */
import { tellingLine } from "./command.ts";
import type { Place } from "./place.ts";

/** The start of the line that a program prints when it answers packets. */
const READY = /^ready\b/;

/** Max wait for that line in ms. A first start may have to unpack. */
const READY_WITHIN = 15_000;

/** Makes the kernel end a program when the bench is killed and cannot clean up. */
const WITH_THE_BENCH = ["setpriv", "--pdeathsig", "TERM", "--"];

/** The line that is printed right before the program begins. */
const BEGINS = "onionbench: begins";

/**
 * Prints that line and becomes the program. The way to its place, and the copy of the large bench
 * process, are not part of the program's start.
 */
const TELLING_WHEN = ["sh", "-c", 'echo "$0"; exec "$@"', BEGINS];

/** How to start a program. */
interface DaemonOptions {
  readonly signal: AbortSignal;
  /** Its working directory; `/` unless given. */
  readonly cwd?: string;
  /** Added to its environment. */
  readonly env?: Record<string, string>;
  /** The pattern of the line that says it is ready; begins with `ready` unless given. */
  readonly ready?: RegExp;
  /** Max wait for that line in ms. */
  readonly within?: number;
}

/** Max wait between SIGTERM and SIGKILL in ms. */
const END_WITHIN = 5_000;

/** Characters of a program's output that are kept as its last words. */
const KEPT = 4096;

/** A running program. Disposing of it sends SIGTERM and waits. */
export class Daemon implements AsyncDisposable {
  readonly #name: string;
  readonly #says: RegExp;
  readonly #child: Deno.ChildProcess;
  #beganAt = Infinity;
  readonly #ready = Promise.withResolvers<number>();
  readonly #unasked = new AbortController();
  readonly #reading: Promise<unknown>;
  #stopping = false;
  #said = "";

  private constructor(place: Place, name: string, command: readonly string[], options: DaemonOptions) {
    const [program, ...args] = place.inside([...WITH_THE_BENCH, ...TELLING_WHEN, ...command]);
    this.#name = name;
    this.#says = options.ready ?? READY;
    this.#child = new Deno.Command(program, {
      args,
      cwd: options.cwd ?? "/",
      env: options.env ?? {},
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      // Keeps Ctrl+C away from it, because the bench ends its programs itself.
      detached: true,
    }).spawn();
    this.#reading = Promise.all([
      this.#follow(this.#child.stdout),
      this.#follow(this.#child.stderr),
      this.#watch(),
    ]);
  }

  /**
   * Starts `command` at `place` and waits for its ready line. `startMs` is the time from the
   * program's beginning to that line.
   *
   * @throws Error with the program's last words if it ends first or is not ready in time
   */
  static async start(
    place: Place,
    name: string,
    command: readonly string[],
    options: DaemonOptions,
  ): Promise<{ daemon: Daemon; startMs: number }> {
    options.signal.throwIfAborted();
    const daemon = new Daemon(place, name, command, options);
    const within = options.within ?? READY_WITHIN;
    try {
      const patience = AbortSignal.timeout(within);
      const startMs = await orAborted(
        daemon.#ready.promise,
        AbortSignal.any([options.signal, daemon.ended, patience]),
      );
      return { daemon, startMs };
    } catch (error) {
      const lastWords = daemon.#lastWords();
      await daemon[Symbol.asyncDispose]();
      if (error instanceof DOMException && error.name === "TimeoutError") {
        throw new Error(`${name} was not ready after ${within} ms; ${lastWords}`);
      }
      throw error;
    }
  }

  /** Aborts, with the last words as reason, when the program ends unasked. */
  get ended(): AbortSignal {
    return this.#unasked.signal;
  }

  /** Its process id. The programs that lead to its place have become it. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The rest of its output, or the end of that. */
  get said(): string {
    return this.#said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    const killing = setTimeout(() => this.#send("SIGKILL"), END_WITHIN);
    this.#send("SIGTERM");
    await this.#child.status;
    clearTimeout(killing);
    await this.#reading;
  }

  #send(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // The program has ended, which is the purpose.
    }
  }

  async #watch(): Promise<void> {
    const { code } = await this.#child.status;
    if (this.#stopping) return;
    this.#unasked.abort(
      new Error(`${this.#name} ended by itself with exit code ${code}; ${this.#lastWords()}`),
    );
  }

  #lastWords(): string {
    const words = tellingLine(this.#said);
    return words === "" ? "it said nothing" : `it said: ${words}`;
  }

  async #follow(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let line = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (line + text).split("\n");
      line = lines.pop() ?? "";
      const now = performance.now();
      if (lines.includes(BEGINS)) this.#beganAt = now;
      if (lines.some((one) => this.#says.test(one))) this.#ready.resolve(now - this.#beganAt);
      const words = lines.filter((one) => one !== BEGINS && !this.#says.test(one)).join("\n");
      if (words !== "") this.#said = `${this.#said}${words}\n`.slice(-KEPT);
    }
  }
}

/** `promise`, or throws the reason of `signal` if that aborts first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
