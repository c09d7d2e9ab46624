/**
 * A router as the proxy sees it: a child process of the same program.
 *
 * @module
 */
import { selfCommand } from "./self.ts";

/** Lines of a router's stderr that are kept: its last words. */
const LAST_WORDS = 5;

/** Names of the environment variables that a router is started with. Secrets go through its stdin. */
export const RouterEnvironment = { number: "ONION_ROUTER", controlPort: "ONION_CONTROL_PORT" } as const;

/** A router's process. */
export class RouterProcess {
  readonly number: number;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lastWords: string[] = [];
  readonly #reading: Promise<void>;

  /**
   * Starts it. Its stdin stays open for as long as we live: that is how it knows when we don't any more.
   *
   * @param heard called with each line that it writes on stderr
   */
  constructor(
    number: number,
    controlPort: number,
    sessionKey: Uint8Array<ArrayBuffer>,
    heard: (line: string) => void,
  ) {
    const { command, args } = selfCommand(["router"]);
    this.number = number;
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
    this.#stdin = this.#child.stdin.getWriter();
    // A child that is dead already does not read; its status will tell.
    this.#stdin.write(new TextEncoder().encode(`${sessionKey.toHex()}\n`)).catch(() => {});
    this.#reading = this.#readWords(heard);
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when it has ended and everything that it said has been read. */
  async ended(): Promise<Deno.CommandStatus> {
    const status = await this.#child.status;
    await this.#reading;
    return status;
  }

  /** What it said last, in one line. */
  get lastWords(): string {
    return this.#lastWords.join(" / ");
  }

  /** Ends it at once. */
  kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }

  /** Lets go of its stdin, so that nothing of it stays open here. */
  async release(): Promise<void> {
    await this.#stdin.close().catch(() => {});
  }

  async #readWords(heard: (line: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of this.#child.stderr) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#hear(line, heard);
    }
    this.#hear(rest, heard);
  }

  #hear(line: string, heard: (line: string) => void): void {
    if (line.trim() === "") return;
    this.#lastWords.push(line.trim());
    if (this.#lastWords.length > LAST_WORDS) this.#lastWords.shift();
    heard(line);
  }
}
