/**
 * Files by owner, and files that take much.
 *
 * @module
 */
import { check, cString, libcWith } from "./libc.ts";

const libc = libcWith("access", "fchown", "sync_file_range", "posix_fadvise");

/** `<unistd.h>` */
const X_OK = 1;

/** The descriptors of this process, each a link to what it has open (proc(5)). */
const DESCRIPTORS = "/proc/self/fd";

/** Whether we may run a file, or look into a directory. Of what is not there no error is made, unlike by Deno's own: 0.1 ms each. */
export function mayExecute(path: string): boolean {
  return libc.access(cString(path), X_OK) === 0;
}

/**
 * Gives an open file to somebody. Whatever has its name by now, be it by another's hand, is left alone: in a directory of
 * somebody else's, a name is theirs to move.
 *
 * @throws {SysError}
 */
export function changeOwner(file: Deno.FsFile, uid: number, gid: number): void {
  check(libc.fchown(descriptorOf(file), uid, gid), `Cannot give a file to uid ${uid}`, "fchown");
}

/** The number of a file's descriptor. Deno does not tell it, but the system knows which of ours have this file open. */
function descriptorOf(file: Deno.FsFile): number {
  const { dev, ino } = file.statSync();
  for (const { name } of Deno.readDirSync(DESCRIPTORS)) {
    try {
      const is = Deno.statSync(`${DESCRIPTORS}/${name}`);
      if (is.dev === dev && is.ino === ino) return Number(name);
    } catch {
      // Closed since, as the one that this list was read by.
    }
  }
  throw new TypeError(`an open file is not in ${DESCRIPTORS}`);
}

/**
 * Makes a file anew, to be written by us and owned by the user behind sudo. What stood there is removed rather than
 * overwritten, so that a link that somebody put in a directory of theirs does not lead root to a file elsewhere.
 *
 * @param mode what of it others may do, as far as the umask lets them
 * @throws what Deno throws where it cannot be made, and {@linkcode SysError} where it cannot be given away
 */
export function createOwnedFile(path: string, mode: number = 0o666): Deno.FsFile {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const file = Deno.openSync(path, { write: true, createNew: true, mode });
  const owner = userBehindSudo();
  if (owner !== undefined) changeOwner(file, ...owner);
  return file;
}

/**
 * Makes a directory for the user behind sudo, where there is none.
 *
 * @throws what Deno throws where it cannot be made
 */
export function createOwnedDirectory(path: string): void {
  try {
    Deno.mkdirSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists && Deno.statSync(path).isDirectory) return;
    throw error;
  }
  const owner = userBehindSudo();
  if (owner === undefined) return;
  using directory = Deno.openSync(path);
  changeOwner(directory, ...owner);
}

/** Bytes that are sent to the disk, and later forgotten, at once. */
const STRETCH = 4 * 1024 * 1024;

/** sync_file_range(2): starts writing, and does not wait for its end. */
const SYNC_FILE_RANGE_WRITE = 2;
/** posix_fadvise(2): what is on the disk need not stay in memory. */
const POSIX_FADV_DONTNEED = 4;

/**
 * A file that takes much and that hardly anybody reads. Only its last stretches stay in memory: all of its pages would push others out,
 * and a virtual machine may have to ask its host for each new one. See docs/adr/0015-a-log-that-passes-through.md.
 */
export class PassingFile implements Disposable {
  readonly #file: Deno.FsFile;
  /** Its descriptor, once there is a whole stretch of it. */
  #descriptor: number | undefined;
  /** Where the file ends, and where the last whole stretch does. */
  #end = 0;
  #passed = 0;

  /** @param file an open file, empty; the new object owns it */
  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Appends in the background; one call at a time.
   *
   * @param bytes left alone until the promise is settled
   * @returns how many of them are written
   * @throws what Deno throws where none can be
   */
  async write(bytes: Uint8Array): Promise<number> {
    const written = await this.#file.write(bytes);
    this.#end += written;
    while (this.#end - this.#passed >= STRETCH) await this.#pass();
    return written;
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  /** Sends a stretch to the disk and forgets the two before it, which are mostly there. Where that cannot be, they stay. */
  async #pass(): Promise<void> {
    try {
      this.#descriptor ??= descriptorOf(this.#file);
    } catch {
      // No /proc. Nothing is worse for it than it would be for any other file.
      this.#passed = Infinity;
      return;
    }
    const descriptor = this.#descriptor;
    const begin = BigInt(this.#passed);
    const oldest = BigInt(Math.max(0, this.#passed - 2 * STRETCH));
    await libc.sync_file_range(descriptor, begin, BigInt(STRETCH), SYNC_FILE_RANGE_WRITE);
    // A length of 0 would mean: up to the end.
    if (oldest < begin) await libc.posix_fadvise(descriptor, oldest, begin - oldest, POSIX_FADV_DONTNEED);
    this.#passed += STRETCH;
  }
}

/** Who has typed `sudo`: user and group. */
function userBehindSudo(): [uid: number, gid: number] | undefined {
  const [uid, gid] = [Deno.env.get("SUDO_UID"), Deno.env.get("SUDO_GID")];
  return Deno.uid() === 0 && isId(uid) && isId(gid) ? [Number(uid), Number(gid)] : undefined;
}

/** Whether a variable that `sudo` sets holds what `sudo` would set. */
function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,9}$/.test(text);
}
