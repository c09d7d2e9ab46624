/**
 * Routers as child processes of the same program.
 *
 * @module
 */
import { makeSessionKey } from "../../control/frame.ts";
import { wipe } from "../../crypto/wipe.ts";
import { diagnostics } from "../../log/diagnostics.ts";
import { isHalted } from "../../sys/process.ts";
import { RouterEnvironment } from "./environment.ts";
import type { Launcher, RouterHandle } from "./launcher.ts";
import { type BodyEnd, type RouterBody, Supervisor } from "./supervisor.ts";

/** Lines of stderr that are kept as a router's last words. */
const LAST_WORDS = 5;

/** Signals that a terminal or a service manager may send to the proxy and the routers at once. */
const SHARED_SIGNALS: readonly (Deno.Signal | null)[] = ["SIGINT", "SIGHUP", "SIGTERM"];

/** A command line, as `new Deno.Command(command, { args })` takes it. */
export interface CommandLine {
  readonly command: string;
  readonly args: string[];
}

/** Launches routers as child processes. */
export class ChildLauncher implements Launcher {
  readonly #program: CommandLine;
  readonly #supervisor = new Supervisor();

  /** @param program the command line of a router's process */
  constructor(program: CommandLine) {
    this.#program = program;
  }

  get controlPort(): number {
    return this.#supervisor.port;
  }

  get rejected(): number {
    return this.#supervisor.rejected;
  }

  async launch(number: number): Promise<RouterHandle> {
    // Each router has its own key, so no router can speak for another.
    const key = makeSessionKey();
    const child = new RouterProcess(this.#program, number, this.controlPort, key);
    const handle = await this.#supervisor.supervise(child, key);
    wipe(key);
    return handle;
  }

  flush(timeout: number): Promise<void> {
    return this.#supervisor.flush(timeout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor[Symbol.asyncDispose]();
  }
}

/** A router's process. */
class RouterProcess implements RouterBody {
  readonly label: string;
  readonly ended: Promise<BodyEnd>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lastWords: string[] = [];

  /**
   * Starts the process. Its stdin stays open until the proxy ends, which tells it that the proxy is
   * gone.
   */
  constructor(
    { command, args }: CommandLine,
    readonly number: number,
    controlPort: number,
    sessionKey: Uint8Array<ArrayBuffer>,
  ) {
    this.#child = new Deno.Command(command, {
      args,
      env: {
        [RouterEnvironment.number]: String(number),
        [RouterEnvironment.controlPort]: String(controlPort),
      },
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.label = `router ${number} (pid ${this.#child.pid})`;
    this.#stdin = this.#child.stdin.getWriter();
    // Fails if the child has already ended. `ended` reports that.
    this.#stdin.write(new TextEncoder().encode(`${sessionKey.toHex()}\n`)).catch(() => {});
    this.ended = this.#untilEnded();
  }

  get lastWords(): string {
    return this.#lastWords.join(" / ");
  }

  get isHalted(): boolean {
    return isHalted(this.#child.pid);
  }

  kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // Already ended.
    }
  }

  async release(): Promise<void> {
    await this.#stdin.close().catch(() => {});
  }

  async #untilEnded(): Promise<BodyEnd> {
    const reading = this.#readLastWords();
    const { code, signal } = await this.#child.status;
    await reading;
    return { how: signal ?? `exit code ${code}`, bySharedSignal: SHARED_SIGNALS.includes(signal) };
  }

  async #readLastWords(): Promise<void> {
    const log = diagnostics(`router ${this.number}`);
    const decoder = new TextDecoder();
    const hear = (line: string) => {
      if (line.trim() === "") return;
      this.#lastWords.push(line.trim());
      if (this.#lastWords.length > LAST_WORDS) this.#lastWords.shift();
      log.warn("{line}", { line });
    };
    let rest = "";
    for await (const bytes of this.#child.stderr) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      lines.forEach(hear);
    }
    hear(rest);
  }
}
