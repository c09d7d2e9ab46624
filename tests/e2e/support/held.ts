/**
 * Programs that wait for a test in the middle of what they are called for.
 *
 * @module
 */
import assert from "node:assert/strict";
import { run } from "./program.ts";

/**
 * A program that stands in for a real one: it says that it has begun, and waits to be let go on. Both go through named
 * pipes, whose opening waits for the other side.
 */
export class Held {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async make(program: string, directory: string): Promise<Held> {
    const real = (await run("sh", ["-c", `command -v ${program}`])).stdout.trim();
    const script = `#!/bin/sh\n: >${directory}/begun\n: <${directory}/gate\nexec ${real} "$@"\n`;
    await Deno.writeTextFile(`${directory}/${program}`, script, { mode: 0o755 });
    assert.equal((await run("mkfifo", [`${directory}/begun`, `${directory}/gate`])).code, 0);
    return new Held(directory);
  }

  /** The environment in which it is found before the real one. */
  get env() {
    return { PATH: `${this.#directory}:${Deno.env.get("PATH")}` };
  }

  /** Waits until it has begun somewhere below this process. For as long as the result is open, others may begin. */
  async begun(child: Deno.ChildProcess): Promise<Deno.FsFile> {
    // If the process ends instead, it is we who open the other side, so that the test fails instead of hanging.
    child.status.then(() => Deno.openSync(`${this.#directory}/begun`, { read: true, write: true }).close());
    return await Deno.open(`${this.#directory}/begun`);
  }

  /** Lets it go on, for as long as the result is open. */
  letGo(): Deno.FsFile {
    return Deno.openSync(`${this.#directory}/gate`, { read: true, write: true });
  }
}
