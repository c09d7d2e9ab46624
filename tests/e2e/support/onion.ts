/**
 * A run of the executable, used as in a terminal: start it, read it, signal it, end it.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Namespace } from "./namespace.ts";
import { ONION, run, scratchDirectory } from "./program.ts";

/** Milliseconds after which a run is killed by default. */
const LIMIT = 60_000;

/** What a run says at its end that leaves its capture closed. */
export const STAYS_CLOSED =
  "onion proxy: error: what was captured stays refused: start again, or run `onion down` to open the host\n";

/** Where and how a run is started. */
export interface Circumstances {
  /** Its network; by default the host's, where it must not change anything. */
  readonly namespace?: Namespace;
  /** A prefix of programs that become the rest of the command line: `setpriv …`, `unshare …`. */
  readonly via?: readonly string[];
  readonly env?: Record<string, string>;
  /** Its working directory, which gets the log files; by default a temporary one. */
  readonly directory?: string;
  /** Whether it gets its own process group, as from a shell in a terminal. */
  readonly group?: boolean;
  /** Milliseconds after which it is killed, so that a test fails and does not hang. */
  readonly limit?: number;
}

/** How a run ended. */
export interface End {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The contents of the `ready` line. */
interface Ready {
  readonly line: string;
  /** The pid of the first router. */
  readonly router: number;
  /** The pids of all routers, in order. */
  readonly routers: readonly number[];
}

/**
 * Opens a descriptor that all processes of a run inherit, and becomes the program. The kernel
 * closes it when the last of them has ended, so no process is overlooked, and nothing needs
 * polling.
 */
const HOLD = 'exec 9>"$1"; shift; exec "$@"';

let warm: Promise<unknown> | undefined;

/** A run. At the end of its block it has ended, if need be by force, and its directory is gone. */
export class Onion implements AsyncDisposable {
  readonly stdout: Text;
  readonly stderr: Text;
  /** Resolves when the process has ended and all its output has been read. */
  readonly ended: Promise<End>;
  /** Resolves when no process of the run is left, including routers. */
  readonly gone: Promise<void>;
  readonly directory: string;
  readonly #child: Deno.ChildProcess;
  readonly #stack: AsyncDisposableStack;
  #isOver = false;

  private constructor(
    child: Deno.ChildProcess,
    directory: string,
    hold: Hold,
    limit: number,
    stack: AsyncDisposableStack,
  ) {
    this.#child = child;
    this.#stack = stack;
    this.directory = directory;
    this.stdout = new Text(child.stdout);
    this.stderr = new Text(child.stderr);
    this.ended = this.#awaitEnd(limit);
    this.gone = this.ended.then(() => hold.released());
  }

  /** Starts `onion`. The first call fills the cache of a self-extracting executable before. */
  static async start(args: readonly string[], circumstances: Circumstances = {}): Promise<Onion> {
    const { namespace, via = [], env = {}, group = false, limit = LIMIT } = circumstances;
    await (warm ??= run(ONION, ["--version"]));
    await using stack = new AsyncDisposableStack();
    const own = stack.use(scratchDirectory());
    const directory = circumstances.directory ?? own.path;
    const hold = stack.use(await Hold.open(`${own.path}/hold`));
    const child = new Deno.Command("sh", {
      args: ["-c", HOLD, "sh", hold.path, ...namespace?.enter ?? [], ...via, ONION, ...args],
      cwd: directory,
      env,
      detached: group,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Onion(child, directory, hold, limit, stack.move());
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Waits for the `ready` line. */
  async ready(): Promise<Ready> {
    const [line] = await this.stdout.find(/^ready: .*$/m).catch(async (cause) => {
      throw new Error(`not ready: ${JSON.stringify(await this.ended)}`, { cause });
    });
    const said = [...line.matchAll(/, router (\d+) pid (\d+)(?=,|$)/g)].map((match) => match.slice(1));
    assert.deepEqual(said.map(([number]) => Number(number)), said.map((_, index) => index + 1), line);
    const routers = said.map(([_, pid]) => Number(pid));
    return { line, router: routers[0]!, routers };
  }

  /**
   * Signals its first process; or, with its own process group, all processes, as a terminal does.
   */
  kill(signal: Deno.Signal, target: "process" | "group" = "process"): void {
    try {
      Deno.kill(target === "group" ? -this.pid : this.pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // already ended
    }
  }

  /** Ends it as a user would, and waits until no process is left. */
  async end(signal: Deno.Signal = "SIGINT"): Promise<End> {
    this.kill(signal);
    const end = await this.ended;
    await this.gone;
    return end;
  }

  /** Waits until its log names the ports of proxy and router. */
  async ports(stage: number): Promise<{ proxy: number; router: number }> {
    const said = await this.logged(
      `stage${stage}.proxy.out`,
      /^proxy port: (\d+)\nrouter: .*, port: (\d+)\n/,
    );
    return { proxy: Number(said[1]), router: Number(said[2]) };
  }

  /** Waits until a log file matches; log files are written in the background. */
  async logged(file: string, pattern: RegExp): Promise<RegExpExecArray> {
    using changes = Deno.watchFs(this.directory);
    const find = () => pattern.exec(Deno.readTextFileSync(`${this.directory}/${file}`));
    let match = find();
    for (const change = changes[Symbol.asyncIterator](); match === null; match = find()) await change.next();
    return match;
  }

  /** The lines of a classic log file after the end, e.g. `stage2.proxy.out`. */
  log(file: string): string[] {
    const text = Deno.readTextFileSync(`${this.directory}/${file}`);
    assert.ok(text.endsWith("\n"), `${file} ends within a line`);
    return text.slice(0, -1).split("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver) this.kill("SIGKILL");
    await this.gone;
    await this.#stack.disposeAsync();
  }

  async #awaitEnd(limit: number): Promise<End> {
    const timer = setTimeout(() => this.kill("SIGKILL"), limit);
    const { code, signal } = await this.#child.status;
    this.#isOver = true;
    clearTimeout(timer);
    await Promise.all([this.stdout.whole, this.stderr.whole]);
    return { code, signal, stdout: this.stdout.text, stderr: this.stderr.text };
  }
}

/** The running children of a process. */
export function childrenOf(pid: number): number[] {
  return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ").map(Number);
}

/** The output of a process so far. */
export class Text {
  text = "";
  /** Resolves at the end of the output. */
  readonly whole: Promise<void>;
  #more = Promise.withResolvers<void>();
  #isWhole = false;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.whole = this.#read(stream);
  }

  /** Waits until the complete lines so far match. */
  async find(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text.slice(0, this.text.lastIndexOf("\n") + 1));
      if (match !== null) return match;
      if (this.#isWhole) throw new Error(`nothing matches ${pattern}: ${JSON.stringify(this.text)}`);
      await this.more();
    }
  }

  /** Waits for more output, or its end. */
  more(): Promise<void> {
    return this.#more.promise;
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
      this.text += piece;
      this.#tell();
    }
    this.#isWhole = true;
    this.#tell();
  }

  #tell(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }
}

/** A named pipe that all processes of a run hold open. */
class Hold implements Disposable {
  readonly path: string;
  readonly #ours: Deno.FsFile;
  readonly #reader: Deno.FsFile;

  private constructor(path: string) {
    this.path = path;
    // Opened for reading and writing, because otherwise opening waits for the other side.
    this.#ours = Deno.openSync(path, { read: true, write: true });
    this.#reader = Deno.openSync(path, { read: true });
  }

  static async open(path: string): Promise<Hold> {
    assert.equal((await run("mkfifo", [path])).code, 0);
    return new Hold(path);
  }

  /** Resolves when no process holds the pipe. Its holders must have opened it before the call. */
  async released(): Promise<void> {
    this.#ours.close();
    await this.#reader.read(new Uint8Array(1));
  }

  [Symbol.dispose](): void {
    this.#reader.close();
  }
}
