/**
 * A run of the executable as a user has it in a terminal: started, read, signalled, ended.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Namespace } from "./namespace.ts";
import { ONION, run, scratchDirectory } from "./program.ts";

/** Milliseconds after which a run that hangs is killed, so that its test fails instead of waiting for ever. */
const LIMIT = 60_000;

/** Where and how a run is started. */
export interface Circumstances {
  /** The network it runs in; without one, the host's, where it must not change anything. */
  readonly namespace?: Namespace;
  /** Words before the command line, of programs that become the one they are given: `setpriv …`, `unshare …`. */
  readonly via?: readonly string[];
  readonly env?: Record<string, string>;
  /** The directory it is started in, where its log files go; without one, it has one of its own. */
  readonly directory?: string;
  /** Whether it has a process group of its own, as a shell gives to what it starts in a terminal. */
  readonly group?: boolean;
}

/** How a run ended. */
export interface End {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What `ready` says. */
interface Ready {
  readonly line: string;
  /** Process id of the first router. */
  readonly router: number;
  /** Process ids of all routers, in order. */
  readonly routers: readonly number[];
}

/**
 * Opens the descriptor that all processes of a run inherit, and becomes the program. It is closed when the last of
 * them has ended, however that came: no process can be overlooked, and there is nothing to poll.
 */
const HOLD = 'exec 9>"$1"; shift; exec "$@"';

let warm: Promise<unknown> | undefined;

/** One run. At the end of its block it has ended, be it by force, and its directory is gone. */
export class Onion implements AsyncDisposable {
  readonly stdout: Text;
  readonly stderr: Text;
  /** Resolves when the process has ended and everything that it said has been read. */
  readonly ended: Promise<End>;
  /** Resolves when no process of the run is left, its routers included. */
  readonly gone: Promise<void>;
  readonly directory: string;
  readonly #child: Deno.ChildProcess;
  readonly #stack: AsyncDisposableStack;
  #isOver = false;

  private constructor(child: Deno.ChildProcess, directory: string, hold: Hold, stack: AsyncDisposableStack) {
    this.#child = child;
    this.#stack = stack;
    this.directory = directory;
    this.stdout = new Text(child.stdout);
    this.stderr = new Text(child.stderr);
    this.ended = this.#awaitEnd();
    this.gone = this.ended.then(() => hold.released());
  }

  /** Starts `onion` with these arguments. The cache of a self-extracting executable has been filled by then. */
  static async start(args: readonly string[], circumstances: Circumstances = {}): Promise<Onion> {
    const { namespace, via = [], env = {}, group = false } = circumstances;
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
    return new Onion(child, directory, hold, stack.move());
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Waits for the line that says it is ready. */
  async ready(): Promise<Ready> {
    const [line] = await this.stdout.find(/^ready: .*$/m).catch(async (cause) => {
      throw new Error(`not ready: ${JSON.stringify(await this.ended)}`, { cause });
    });
    const said = [...line.matchAll(/, router (\d+) pid (\d+)(?=,|$)/g)].map((match) => match.slice(1));
    assert.deepEqual(said.map(([number]) => Number(number)), said.map((_, index) => index + 1), line);
    const routers = said.map(([_, pid]) => Number(pid));
    return { line, router: routers[0]!, routers };
  }

  /** Sends a signal to its first process, or, with a group of its own, to all of them as a terminal does. */
  kill(signal: Deno.Signal, target: "process" | "group" = "process"): void {
    try {
      Deno.kill(target === "group" ? -this.pid : this.pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended
    }
  }

  /** Ends it as a user does, and waits until nothing of it is left. */
  async end(signal: Deno.Signal = "SIGINT"): Promise<End> {
    this.kill(signal);
    const end = await this.ended;
    await this.gone;
    return end;
  }

  /** Waits until its log file names the ports of proxy and router. */
  async ports(stage: number): Promise<{ proxy: number; router: number }> {
    const said = await this.logged(
      `stage${stage}.proxy.out`,
      /^proxy port: (\d+)\nrouter: .*, port: (\d+)\n/,
    );
    return { proxy: Number(said[1]), router: Number(said[2]) };
  }

  /** Waits until what is in one of its log files by then matches: they are written in the background. */
  async logged(file: string, pattern: RegExp): Promise<RegExpExecArray> {
    using changes = Deno.watchFs(this.directory);
    const find = () => pattern.exec(Deno.readTextFileSync(`${this.directory}/${file}`));
    let match = find();
    for (const change = changes[Symbol.asyncIterator](); match === null; match = find()) await change.next();
    return match;
  }

  /** The lines of one of its classic log files, e.g. of `stage2.proxy.out`, when it has ended. */
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

  async #awaitEnd(): Promise<End> {
    const limit = setTimeout(() => this.kill("SIGKILL"), LIMIT);
    const { code, signal } = await this.#child.status;
    this.#isOver = true;
    clearTimeout(limit);
    await Promise.all([this.stdout.whole, this.stderr.whole]);
    return { code, signal, stdout: this.stdout.text, stderr: this.stderr.text };
  }
}

/** The processes that a process has started and that have not ended. */
export function childrenOf(pid: number): number[] {
  return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ").map(Number);
}

/** What a process has said so far. */
export class Text {
  text = "";
  /** Resolves when it has said everything. */
  readonly whole: Promise<void>;
  #more = Promise.withResolvers<void>();
  #isWhole = false;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.whole = this.#read(stream);
  }

  /** Waits until what was said so far, up to its last line end, matches. */
  async find(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text.slice(0, this.text.lastIndexOf("\n") + 1));
      if (match !== null) return match;
      if (this.#isWhole) throw new Error(`nothing matches ${pattern}: ${JSON.stringify(this.text)}`);
      await this.#more.promise;
    }
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

/** A named pipe that everybody who shall end holds open. */
class Hold implements Disposable {
  readonly path: string;
  readonly #ours: Deno.FsFile;
  readonly #reader: Deno.FsFile;

  private constructor(path: string) {
    this.path = path;
    // Open for both, or opening would wait for the other side.
    this.#ours = Deno.openSync(path, { read: true, write: true });
    this.#reader = Deno.openSync(path, { read: true });
  }

  static async open(path: string): Promise<Hold> {
    assert.equal((await run("mkfifo", [path])).code, 0);
    return new Hold(path);
  }

  /** Resolves when nobody holds it any more. Who is to hold it must have opened it by now. */
  async released(): Promise<void> {
    this.#ours.close();
    await this.#reader.read(new Uint8Array(1));
  }

  [Symbol.dispose](): void {
    this.#reader.close();
  }
}
