/**
 * A file of lines that is written in the background.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { continueOwnedFile, createOwnedFile, PassingFile } from "../sys/file.ts";

/** Bytes in a chunk. A full chunk is written at once. */
const CHUNK = 1024 * 1024;

/** Max chunks that wait for a slow disk. Lines beyond them are lost. */
const MAX_CHUNKS = 16;

/**
 * Max prepared copies of a line, about 2 KB. Writing many at once costs little more than writing
 * one.
 */
const MAX_COPIES = 32;

const encoder = new TextEncoder();

/** A line as bytes. A flood repeats its lines, so copies in a row are prepared. */
export class Line {
  /** Bytes of one copy with its line end, at most {@linkcode CHUNK}. */
  readonly length: number;
  #copies: Uint8Array;

  /**
   * A line that is written once or more.
   *
   * @param text without its line end
   * @throws {RangeError} if it does not fit into a chunk
   */
  constructor(text: string) {
    this.#copies = encoder.encode(text + "\n");
    this.length = this.#copies.length;
    if (this.length > CHUNK) throw new RangeError(`a line of ${this.length} bytes`);
  }

  /** Returns copies in a row: at least one, and at least `wanted` or the max. */
  copies(wanted: number): Uint8Array {
    const max = Math.min(MAX_COPIES, Math.floor(CHUNK / this.length));
    while (this.#copies.length < Math.min(wanted, max) * this.length) {
      const twice = new Uint8Array(Math.min(2 * this.#copies.length, max * this.length));
      twice.set(this.#copies);
      twice.set(this.#copies.subarray(0, twice.length - this.#copies.length), this.#copies.length);
      this.#copies = twice;
    }
    return this.#copies;
  }
}

/** Where the chunks are written. */
export interface Disk extends Disposable {
  /**
   * Writes in the background. The bytes must not change meanwhile. Returns how many were written.
   */
  write(bytes: Uint8Array): Promise<number>;
}

/** A file that lines are appended to. */
export class LineFile implements AsyncDisposable {
  readonly #disk: Disk;
  readonly #failed: (reason: string) => void;
  /** The chunk that is being filled, and the bytes in it. */
  #chunk = new Uint8Array(CHUNK);
  #used = 0;
  /** Full chunks that wait to be written, oldest first, and empty chunks for later. */
  readonly #full: Uint8Array<ArrayBuffer>[] = [];
  readonly #empty: Uint8Array<ArrayBuffer>[] = [];
  /** Lines lost since the last chunk was full. */
  #lost = 0;
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  private constructor(disk: Disk, failed: (reason: string) => void) {
    this.#disk = disk;
    this.#failed = failed;
  }

  /**
   * Creates the file, or replaces it. It belongs to the user behind sudo.
   *
   * @param failed called once, with a sentence, when the file cannot be written; later lines are
   * lost
   * @param open creates the file
   * @throws {OperatorError} if it cannot be created
   */
  static create(
    path: string,
    failed: (reason: string) => void,
    open: (path: string) => Disk = openPassing,
  ): LineFile {
    try {
      return new LineFile(open(path), (reason) => failed(`the log file ${path} is incomplete: ${reason}`));
    } catch (cause) {
      const fault = `cannot write the log file ${path}: ${(cause as Error).message}`;
      throw new OperatorError(fault, "choose another directory with --log-dir", undefined, { cause });
    }
  }

  /** As {@linkcode LineFile.create}, but keeps the lines that the file has. */
  static continue(path: string, failed: (reason: string) => void): LineFile {
    return LineFile.create(path, failed, continuePassing);
  }

  /** Appends a line. If the disk is too slow, lines are lost, and the file says how many. */
  line(text: string): void {
    this.append(new Line(text));
  }

  /** Appends a line one or more times. */
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

  /** Starts writing the lines so far. */
  flush(): void {
    if (this.#used > 0) this.#turnOver();
  }

  /** Puts up to `times` copies into the chunk, which has room for one. Returns how many it put. */
  #fill(line: Line, times: number): number {
    const start = this.#used;
    const copies = line.copies(times);
    const count = Math.min(times, Math.floor(Math.min(copies.length, CHUNK - start) / line.length));
    this.#used += count * line.length;
    // Copying too much costs less than cutting it off. The next line overwrites the rest.
    this.#chunk.set(start + copies.length <= CHUNK ? copies : copies.subarray(0, this.#used - start), start);
    return count;
  }

  /** Queues the chunk and takes an empty one. Returns false if too many wait. */
  #turnOver(): boolean {
    if (this.#full.length >= MAX_CHUNKS) return false;
    this.#full.push(this.#chunk.subarray(0, this.#used));
    this.#chunk = this.#empty.pop() ?? new Uint8Array(CHUNK);
    this.#used = 0;
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.line(`${lost} lines lost`);
    this.#writing ??= this.#write();
    return true;
  }

  /** Writes the remaining lines and closes the file. */
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

/** Opens a file that may end within a line, because its writer was killed. */
function continuePassing(path: string): Disk {
  const file = continueOwnedFile(path);
  const last = new Uint8Array(1);
  if (file.statSync().size > 0) {
    file.seekSync(-1, Deno.SeekMode.End);
    file.readSync(last);
    if (last[0] !== 0x0a) file.writeSync(encoder.encode("\n"));
  }
  return new PassingFile(file, file.statSync().size);
}
