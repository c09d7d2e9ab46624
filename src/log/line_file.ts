/**
 * A file of lines that is written in the background.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { changeOwner } from "../sys/interface.ts";

/** Characters after which waiting lines are written without further delay. */
const ENOUGH = 64 * 1024;

/** Characters that may wait for a disk that does not keep up; what comes then is lost. */
const MOST = 4 * 1024 * 1024;

/** A new file, to which lines are appended. */
export class LineFile implements AsyncDisposable {
  readonly #file: Deno.FsFile;
  readonly #failed: (reason: string) => void;
  readonly #encoder = new TextEncoder();
  #waiting = "";
  /** Lines lost behind those that wait. */
  #lost = 0;
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  private constructor(file: Deno.FsFile, failed: (reason: string) => void) {
    this.#file = file;
    this.#failed = failed;
  }

  /**
   * Makes the file anew. What stood there is removed rather than overwritten, so that a link that somebody put
   * in a directory of theirs does not lead root to a file elsewhere. The file is given to the user behind sudo.
   *
   * @param failed told once, in a sentence, when the file can take no more: later lines are lost
   * @throws {OperatorError} where it cannot be made
   */
  static create(path: string, failed: (reason: string) => void): LineFile {
    try {
      try {
        Deno.removeSync(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      const file = new LineFile(
        Deno.openSync(path, { write: true, createNew: true }),
        (reason) => failed(`the log file ${path} is incomplete: ${reason}`),
      );
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

  /** Appends a line. Where the disk does not keep up, lines are lost, and the file says how many. */
  line(text: string): void {
    if (this.#hasFailed) return;
    if (this.#waiting.length >= MOST) {
      this.#lost++;
      return;
    }
    this.#waiting += text + "\n";
    if (this.#waiting.length >= ENOUGH) this.flush();
  }

  /** Starts writing what waits. */
  flush(): void {
    if (this.#waiting === "" || this.#writing !== undefined || this.#hasFailed) return;
    if (this.#lost > 0) this.#waiting += `${this.#lost} lines lost\n`;
    const bytes = this.#encoder.encode(this.#waiting);
    this.#waiting = "";
    this.#lost = 0;
    this.#writing = this.#write(bytes).catch((error) => {
      // A full disk must not stop the packets.
      this.#hasFailed = true;
      this.#waiting = "";
      this.#failed((error as Error).message);
    }).then(() => {
      this.#writing = undefined;
      this.flush();
    });
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
