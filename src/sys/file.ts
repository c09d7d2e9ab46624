/**
 * File ownership, locks, and large files that hardly anybody reads.
 *
 * @module
 */
import { Fd } from "./fd.ts";
import { check, cString, libcWith } from "./libc.ts";

const libc = libcWith("access", "fchown", "flock", "open", "sync_file_range", "posix_fadvise");

/** `<unistd.h>` */
const X_OK = 1;
/** `<fcntl.h>` */
const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
/** `<sys/file.h>` */
const LOCK_EX = 2;
const LOCK_NB = 4;

/** The descriptors of this process, each a link to its open file (proc(5)). */
const DESCRIPTORS = "/proc/self/fd";

/**
 * Whether this process may run a file or search a directory. Creates no error object for a missing
 * file, unlike Deno, which saves 0.1 ms.
 */
export function mayExecute(path: string): boolean {
  return libc.access(cString(path), X_OK) === 0;
}

/**
 * Locks a file, until the result is disposed of or this process ends, however it ends. A lock
 * belongs to the open file: it stops even this process from locking the file again (flock(2)).
 *
 * @returns `undefined` if the file is locked
 * @throws {SysError} if it cannot be opened
 */
export function lockFile(path: string): Fd | undefined {
  const flags = O_RDONLY | O_CLOEXEC;
  const file = new Fd(check(libc.open(cString(path), flags), `Cannot open ${path}`, "open"));
  if (libc.flock(file.number, LOCK_EX | LOCK_NB) === 0) return file;
  file[Symbol.dispose]();
  return undefined;
}

/**
 * Changes the owner of an open file. Does not use its name, because in another user's directory
 * that user may have given the name to another file.
 *
 * @throws {SysError}
 */
export function changeOwner(file: Deno.FsFile, uid: number, gid: number): void {
  check(libc.fchown(descriptorOf(file), uid, gid), `Cannot give a file to uid ${uid}`, "fchown");
}

/**
 * The number of a file's descriptor. Deno does not expose it, so this finds the descriptor by
 * device and inode.
 */
function descriptorOf(file: Deno.FsFile): number {
  const { dev, ino } = file.statSync();
  for (const { name } of Deno.readDirSync(DESCRIPTORS)) {
    try {
      const is = Deno.statSync(`${DESCRIPTORS}/${name}`);
      if (is.dev === dev && is.ino === ino) return Number(name);
    } catch {
      // Closed in the meantime, such as the descriptor that read this directory.
    }
  }
  throw new TypeError(`an open file is not in ${DESCRIPTORS}`);
}

/**
 * Creates a file for writing that belongs to the user behind sudo. Removes an existing file instead
 * of overwriting it, so that a user's symbolic link cannot make root write to another file.
 *
 * @param mode the permissions, before the umask
 * @throws Deno's error if the file cannot be created, {@linkcode SysError} if its owner cannot be
 * changed
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
 * Opens a file of an earlier process for appending and reading, or creates it. Replaces anything
 * but a plain file under one name, because a user's link must not make root write to another file.
 *
 * @param mode the permissions of a new file, before the umask
 * @throws as {@linkcode createOwnedFile}
 */
export function continueOwnedFile(path: string, mode: number = 0o666): Deno.FsFile {
  try {
    const { isFile, nlink, dev, ino } = Deno.lstatSync(path);
    if (isFile && nlink === 1) {
      const file = Deno.openSync(path, { read: true, append: true });
      const opened = file.statSync();
      if (opened.dev === dev && opened.ino === ino) return file;
      file.close();
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return createOwnedFile(path, mode);
}

/** Writes all bytes to a file, or to a standard stream. */
export function writeAll(file: Pick<Deno.FsFile, "writeSync">, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/**
 * Creates a directory that belongs to the user behind sudo, if it does not exist.
 *
 * @throws Deno's error if it cannot be created
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

/** Bytes that are written to the disk, and later dropped from memory, at once. */
const STRETCH = 4 * 1024 * 1024;

/** sync_file_range(2): starts writing without waiting for its end. */
const SYNC_FILE_RANGE_WRITE = 2;
/** posix_fadvise(2): drops pages that are on the disk. */
const POSIX_FADV_DONTNEED = 4;

/**
 * A large file that hardly anybody reads. Only its last stretches stay in memory. All of its pages
 * would displace others, and a virtual machine may have to ask its host for each new page. See
 * docs/adr/0015-a-log-that-passes-through.md.
 */
export class PassingFile implements Disposable {
  readonly #file: Deno.FsFile;
  /** Its descriptor, once it has a whole stretch. */
  #descriptor: number | undefined;
  /** The length of the file. */
  #end: number;
  /** The end of the last stretch that was sent to the disk. */
  #passed: number;

  /**
   * @param file an open file; the new object owns it
   * @param length its length in bytes
   */
  constructor(file: Deno.FsFile, length: number = 0) {
    this.#file = file;
    this.#end = this.#passed = length;
  }

  /**
   * Appends bytes. Allows one call at a time.
   *
   * @param bytes not to be changed before the promise settles
   * @returns the number of bytes written
   * @throws Deno's error if none can be written
   */
  async write(bytes: Uint8Array): Promise<number> {
    const written = await this.#file.write(bytes);
    this.#end += written;
    while (this.#end - this.#passed >= STRETCH) await this.#pass();
    return written;
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  /**
   * Starts writing a stretch to the disk, and drops the two before it, which are mostly written by
   * now.
   */
  async #pass(): Promise<void> {
    try {
      this.#descriptor ??= descriptorOf(this.#file);
    } catch {
      // Without /proc, this file is like any other.
      this.#passed = Infinity;
      return;
    }
    const descriptor = this.#descriptor;
    const begin = BigInt(this.#passed);
    const oldest = BigInt(Math.max(0, this.#passed - 2 * STRETCH));
    await libc.sync_file_range(descriptor, begin, BigInt(STRETCH), SYNC_FILE_RANGE_WRITE);
    // A length of 0 would mean "to the end of the file".
    if (oldest < begin) await libc.posix_fadvise(descriptor, oldest, begin - oldest, POSIX_FADV_DONTNEED);
    this.#passed += STRETCH;
  }
}

/** The user and group that called `sudo`. */
function userBehindSudo(): [uid: number, gid: number] | undefined {
  const [uid, gid] = [Deno.env.get("SUDO_UID"), Deno.env.get("SUDO_GID")];
  return Deno.uid() === 0 && isId(uid) && isId(gid) ? [Number(uid), Number(gid)] : undefined;
}

/** Whether a variable holds an id, as `sudo` would set it. */
function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,9}$/.test(text);
}
