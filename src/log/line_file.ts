/**
 * A file of lines that is written in the background.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { createOwnedFile, PassingFile } from "../sys/file.ts";

/** Bytes of a chunk: when one is full, it is written without further delay. */
const CHUNK = 1024 * 1024;

/** Chunks that may wait for a disk that does not keep up; what comes then is lost. */
const MOST_CHUNKS = 16;

/** Copies that are kept of a line at most, some 2 KB: to copy many at once costs little more than to copy one. */
const MOST_COPIES = 32;

const encoder = new TextEncoder();

/** A line as bytes. The lines of a flood come in runs of equal ones, so copies of it are kept. */
export class Line {
  /** Bytes of one copy, line end included: at most {@linkcode CHUNK}. */
  readonly length: number;
  #copies: Uint8Array;

  /**
   * @param text without its line end
   * @throws RangeError if no chunk could hold it
   */
  constructor(text: string) {
    this.#copies = encoder.encode(text + "\n");
    this.length = this.#copies.length;
    if (this.length > CHUNK) throw new RangeError(`a line of ${this.length} bytes`);
  }

  /** Copies of it in a row, one at least: as many as are wanted or more, or as many as there are. */
  copies(wanted: number): Uint8Array {
    const most = Math.min(MOST_COPIES, Math.floor(CHUNK / this.length));
    while (this.#copies.length < Math.min(wanted, most) * this.length) {
      const twice = new Uint8Array(Math.min(2 * this.#copies.length, most * this.length));
      twice.set(this.#copies);
      twice.set(this.#copies.subarray(0, twice.length - this.#copies.length), this.#copies.length);
      this.#copies = twice;
    }
    return this.#copies;
  }
}

/** What the chunks are written to. */
export interface Disk extends Disposable {
  /** Writes in the background, and leaves the bytes alone meanwhile: how many of them are written. */
  write(bytes: Uint8Array): Promise<number>;
}

/** A new file, to which lines are appended. */
export class LineFile implements AsyncDisposable {
  readonly #disk: Disk;
  readonly #failed: (reason: string) => void;
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
    this.append(new Line(text));
  }

  /** Appends a line, or the same one several times. */
  append(line: Line, times = 1): void {
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

  /** Puts a line into the chunk, which has room for one at least: how often it did, `times` at most. */
  #fill(line: Line, times: number): number {
    const start = this.#used;
    const copies = line.copies(times);
    const count = Math.min(times, Math.floor(Math.min(copies.length, CHUNK - start) / line.length));
    this.#used += count * line.length;
    // What is behind the end will be overwritten, and costs less than to cut it off.
    this.#chunk.set(start + copies.length <= CHUNK ? copies : copies.subarray(0, this.#used - start), start);
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
