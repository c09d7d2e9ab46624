/**
 * A file of lines that is written in the background.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { createOwnedFile, PassingFile } from "../sys/file.ts";

/** Bytes of a chunk: when one is full, it is written without further delay. */
const CHUNK = 512 * 1024;

/** Chunks that may wait for a disk that does not keep up; what comes then is lost. */
const MOST_CHUNKS = 16;

/** What the chunks are written to. */
export interface Disk extends Disposable {
  /** Writes in the background, and leaves the bytes alone meanwhile: how many of them are written. */
  write(bytes: Uint8Array): Promise<number>;
}

/** A new file, to which lines are appended. */
export class LineFile implements AsyncDisposable {
  readonly #disk: Disk;
  readonly #failed: (reason: string) => void;
  readonly #encoder = new TextEncoder();
  /** The chunk that is being filled, and how far. */
  #chunk = new Uint8Array(CHUNK);
  #used = 0;
  /** Full chunks that wait, oldest first, and empty ones for later. */
  readonly #full: Uint8Array<ArrayBuffer>[] = [];
  readonly #empty: Uint8Array<ArrayBuffer>[] = [];
  /** Lines lost behind those that wait. */
  #lost = 0;
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  private constructor(disk: Disk, failed: (reason: string) => void) {
    this.#disk = disk;
    this.#failed = failed;
  }

  /**
   * Makes the file anew, for the user behind sudo.
   *
   * @param failed told once, in a sentence, when the file can take no more: later lines are lost
   * @param open how it is made
   * @throws {OperatorError} where it cannot be made
   */
  static create(
    path: string,
    failed: (reason: string) => void,
    open: (path: string) => Disk = openPassing,
  ): LineFile {
    try {
      return new LineFile(open(path), (reason) => failed(`the log file ${path} is incomplete: ${reason}`));
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
    this.append(this.#encoder.encode(text + "\n"));
  }

  /**
   * Appends a line, or the same one several times.
   *
   * @param line encoded already, its line end included: at most {@linkcode CHUNK} bytes
   */
  append(line: Uint8Array, times = 1): void {
    if (this.#hasFailed) return;
    for (let left = times; left > 0;) {
      if (this.#used + line.length > CHUNK && !this.#turnOver()) {
        this.#lost += left;
        return;
      }
      left -= this.#fill(line, left);
    }
  }

  /** Starts writing what waits. */
  flush(): void {
    if (this.#used > 0) this.#turnOver();
  }

  /** Puts a line into the chunk, which has room for one at least: as often as it fits, but not more than `times`. */
  #fill(line: Uint8Array, times: number): number {
    const chunk = this.#chunk;
    const start = this.#used;
    chunk.set(line, start);
    this.#used += line.length;
    if (times === 1) return 1;
    const count = Math.min(times, Math.floor((CHUNK - start) / line.length));
    const end = start + count * line.length;
    // Each copy is of all that is there, so there are few of them.
    for (; this.#used < end; this.#used = Math.min(end, 2 * this.#used - start)) {
      chunk.copyWithin(this.#used, start, Math.min(this.#used, start + end - this.#used));
    }
    return count;
  }

  /** Puts the chunk among the full ones and takes an empty one: false where too many wait. */
  #turnOver(): boolean {
    if (this.#full.length >= MOST_CHUNKS) return false;
    this.#full.push(this.#chunk.subarray(0, this.#used));
    this.#chunk = this.#empty.pop() ?? new Uint8Array(CHUNK);
    this.#used = 0;
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.line(`${lost} lines lost`);
    this.#writing ??= this.#write();
    return true;
  }

  /** Writes the rest and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    do {
      this.flush();
      await this.#writing;
    } while (this.#used > 0 && !this.#hasFailed);
    this.#disk[Symbol.dispose]();
  }

  async #write(): Promise<void> {
    try {
      for (let chunk = this.#full[0]; chunk !== undefined; chunk = this.#full[0]) {
        for (let at = 0; at < chunk.length;) at += await this.#disk.write(chunk.subarray(at));
        this.#full.shift();
        this.#empty.push(new Uint8Array(chunk.buffer));
      }
    } catch (error) {
      // A full disk must not stop the packets.
      this.#hasFailed = true;
      this.#full.length = 0;
      this.#failed((error as Error).message);
    }
    this.#writing = undefined;
  }
}

function openPassing(path: string): Disk {
  return new PassingFile(createOwnedFile(path));
}
