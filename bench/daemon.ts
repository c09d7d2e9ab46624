/**
 * A program of a contender: started in a namespace, waited for until it says `ready`, watched, ended.
 *
 * @module
 */
import { tellingLine } from "./command.ts";
import type { Netns } from "./netns.ts";

/** What a program prints, at the start of a line, when it answers packets. */
const READY = /^ready\b/;

/** Longest wait for that line, in ms; a first start may have to unpack. */
const READY_WITHIN = 15_000;

/** Longest wait after SIGTERM, in ms, before SIGKILL. */
const END_WITHIN = 5_000;

/** How much of what a program says is kept for its last words, in characters. */
const KEPT = 4096;

/** A running program. Disposing of it sends SIGTERM and waits. */
export class Daemon implements AsyncDisposable {
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #spawnedAt: number;
  readonly #ready = Promise.withResolvers<number>();
  readonly #unasked = new AbortController();
  readonly #reading: Promise<unknown>;
  #stopping = false;
  #said = "";

  private constructor(netns: Netns, name: string, command: readonly string[], cwd: string) {
    const [program, ...args] = netns.inside(command);
    this.#name = name;
    this.#spawnedAt = performance.now();
    this.#child = new Deno.Command(program, {
      args,
      cwd,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      // Ctrl+C is for the bench, which ends its programs itself.
      detached: true,
    }).spawn();
    this.#reading = Promise.all([
      this.#follow(this.#child.stdout),
      this.#follow(this.#child.stderr),
      this.#watch(),
    ]);
  }

  /**
   * Starts `command` in `netns` and waits for its `ready` line.
   *
   * @throws Error with the program's last words if it ends first, or says nothing for {@linkcode READY_WITHIN}
   */
  static async start(
    netns: Netns,
    name: string,
    command: readonly string[],
    options: { readonly cwd: string; readonly signal: AbortSignal },
  ): Promise<{ daemon: Daemon; startMs: number }> {
    options.signal.throwIfAborted();
    const daemon = new Daemon(netns, name, command, options.cwd);
    try {
      const patience = AbortSignal.timeout(READY_WITHIN);
      const startMs = await orAborted(
        daemon.#ready.promise,
        AbortSignal.any([options.signal, daemon.ended, patience]),
      );
      return { daemon, startMs };
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      if (error instanceof DOMException && error.name === "TimeoutError") {
        throw new Error(`${name} was not ready after ${READY_WITHIN} ms; ${daemon.#lastWords()}`);
      }
      throw error;
    }
  }

  /** Aborted, its last words the reason, when the program ends before it is told to. */
  get ended(): AbortSignal {
    return this.#unasked.signal;
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
      // It has ended: that is all we want.
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
      if (lines.some((one) => READY.test(one))) this.#ready.resolve(performance.now() - this.#spawnedAt);
      const words = lines.filter((one) => !READY.test(one)).join("\n");
      if (words !== "") this.#said = `${this.#said}${words}\n`.slice(-KEPT);
    }
  }
}

/** `promise`, unless `signal` is aborted first: then its reason is thrown. */
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
