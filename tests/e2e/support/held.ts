/**
 * Programs that stop halfway until a test lets them continue.
 *
 * @module
 */
import assert from "node:assert/strict";
import { run } from "./program.ts";

/**
 * A program in the place of a real one. It reports that it has begun, and waits for permission to
 * continue. Both use named pipes, because opening one waits for the other side.
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

  /** An environment with a PATH that finds it first. */
  get env() {
    return { PATH: `${this.#directory}:${Deno.env.get("PATH")}` };
  }

  /**
   * Waits until the program begins under this process. While the result is open, more may begin.
   */
  async begun(child: Deno.ChildProcess): Promise<Deno.FsFile> {
    // If the process ends instead, this opens the other side, so that the test fails and does not
    // hang.
    child.status.then(() => Deno.openSync(`${this.#directory}/begun`, { read: true, write: true }).close());
    return await Deno.open(`${this.#directory}/begun`);
  }

  /** Lets the program continue while the result is open. */
  letGo(): Deno.FsFile {
    return Deno.openSync(`${this.#directory}/gate`, { read: true, write: true });
  }
}
