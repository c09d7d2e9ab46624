/**
 * A stage that runs in the lab's VM, as another process of this program.
 *
 * @module
 */
import type { Settings } from "../config/settings.ts";
import type { Stage } from "../config/stages.ts";
import { ExitCode, OperatorError } from "../errors.ts";
import { inside } from "./exec.ts";
import { VM } from "./topology.ts";

/** Returns the command that starts this program with these arguments. */
export type Self = (
  args: readonly string[],
) => { readonly command: string; readonly args: readonly string[] };

/** The settings of a run, except the directory for its files. */
export type StageSettings = Pick<Settings, "stage" | "routers" | "hops" | "latency">;

/** One run of a stage. Disposing of it ends the run. */
export class StageRun implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #directory: string;
  readonly #signal: AbortSignal;
  readonly #child: Deno.ChildProcess;
  readonly #ready = Promise.withResolvers<void>();
  readonly #words: Promise<string>;
  readonly #reading: Promise<void>;
  readonly #onAbort = () => this.#end();

  /**
   * Starts the run.
   *
   * @param directory for its log files, and for captures if the stage carries packets
   * @param signal ends the run early
   */
  constructor(self: Self, settings: StageSettings, directory: string, signal: AbortSignal) {
    signal.throwIfAborted();
    const { stage, routers, hops, latency } = settings;
    this.#stage = stage;
    this.#directory = directory;
    this.#signal = signal;
    const { command, args } = self([
      ...["--stage", `${stage.number}`],
      ...["--log-dir", directory],
      ...["--routers", `${routers}`],
      ...stage.traffic ? ["--hops", `${hops}`, "--latency", `${latency}`, "--pcap", directory] : [],
      ...["--log-level", "warning"],
      "--json",
    ]);
    const [program, ...words] = inside(VM, [command, ...args]);
    this.#child = new Deno.Command(program, { args: words, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
    this.#words = new Response(this.#child.stderr).text();
    this.#reading = this.#read();
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /**
   * Waits until packets can pass.
   *
   * @throws {OperatorError} with the message of the run, if it ends instead
   */
  async ready(): Promise<void> {
    const isReady = await Promise.race([
      this.#ready.promise.then(() => true),
      this.#reading.then(() => false),
    ]);
    if (!isReady) await this.#failed();
  }

  /** Ends the run as a user does, and waits until its files are complete. */
  async stop(): Promise<void> {
    this.#end();
    const { success } = await this.#child.status;
    await this.#reading;
    if (!success) await this.#failed();
  }

  /** The lines of each log file of the run. */
  logs(): string[][] {
    const file = new RegExp(`^stage${this.#stage.number}\\.(?:proxy|router\\d+)\\.out$`);
    return [...Deno.readDirSync(this.#directory)].map(({ name }) => name).filter((name) => file.test(name))
      .map((name) => Deno.readTextFileSync(`${this.#directory}/${name}`).split("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#end();
    await Promise.all([this.#child.status, this.#reading, this.#words]);
  }

  /** Uses SIGTERM, because a second SIGINT after the terminal's would cut its clean-up short. */
  #end(): void {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // The run has ended by itself.
    }
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      if (lines.some((line) => JSON.parse(line).event === "ready")) this.#ready.resolve();
    }
  }

  async #failed(): Promise<never> {
    const [{ code }, words] = await Promise.all([this.#child.status, this.#words]);
    this.#signal.throwIfAborted();
    const cause = words.trim().split("\n").at(-1)?.replace(/^onion: /, "") || `exit code ${code}`;
    const known = Object.values(ExitCode).find((known) => known === code && known !== ExitCode.ok);
    throw new OperatorError(
      `stage ${this.#stage.number} failed in the lab: ${cause}`,
      `try it by hand: onion lab exec -- onion --stage ${this.#stage.number}`,
      known,
    );
  }
}
