/**
 * A file of lines that is written in the background.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { changeOwner } from "../sys/interface.ts";

/** Characters after which waiting lines are written without further delay. */
const ENOUGH = 64 * 1024;

/** A new file, to which lines are appended. */
export class LineFile implements AsyncDisposable {
  readonly #file: Deno.FsFile;
  readonly #encoder = new TextEncoder();
  #waiting = "";
  #writing: Promise<void> | undefined;
  #failure: unknown;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Makes the file anew. What stood there is removed rather than overwritten, so that a link that somebody put
   * in a directory of theirs does not lead root to a file elsewhere. The file is given to the user behind sudo.
   *
   * @throws {OperatorError} where it cannot be made
   */
  static create(path: string): LineFile {
    try {
      try {
        Deno.removeSync(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      const file = new LineFile(Deno.openSync(path, { write: true, createNew: true }));
      const [uid, gid] = [Deno.env.get("SUDO_UID"), Deno.env.get("SUDO_GID")];
      if (Deno.uid() === 0 && uid !== undefined && gid !== undefined) {
        changeOwner(path, Number(uid), Number(gid));
      }
      return file;
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new OperatorError(
        `cannot write the log file ${path}: ${reason}`,
        "choose another directory with --log-dir",
        undefined,
        { cause },
      );
    }
  }

  /** Appends a line. */
  line(text: string): void {
    if (this.#failure !== undefined) return;
    this.#waiting += text + "\n";
    if (this.#waiting.length >= ENOUGH) this.flush();
  }

  /** Starts writing what waits. */
  flush(): void {
    if (this.#waiting === "" || this.#writing !== undefined || this.#failure !== undefined) return;
    const bytes = this.#encoder.encode(this.#waiting);
    this.#waiting = "";
    this.#writing = this.#write(bytes).catch((error) => {
      // A full disk must not stop the packets.
      this.#failure = error;
      this.#waiting = "";
    }).then(() => {
      this.#writing = undefined;
      this.flush();
    });
  }

  /** Why lines could not be written, where that happened. */
  get failure(): string | undefined {
    return this.#failure === undefined ? undefined : (this.#failure as Error).message;
  }

  /** Writes the rest and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.flush();
    while (this.#writing !== undefined) await this.#writing;
    this.#file.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
  }
}
