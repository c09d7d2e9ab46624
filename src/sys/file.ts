/**
 * Files by owner.
 *
 * @module
 */
import { check, libcWith } from "./libc.ts";

const libc = libcWith("fchown");

/** The descriptors of this process, each a link to what it has open (proc(5)). */
const DESCRIPTORS = "/proc/self/fd";

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

/** Who has typed `sudo`: user and group. */
function userBehindSudo(): [uid: number, gid: number] | undefined {
  const [uid, gid] = [Deno.env.get("SUDO_UID"), Deno.env.get("SUDO_GID")];
  return Deno.uid() === 0 && isId(uid) && isId(gid) ? [Number(uid), Number(gid)] : undefined;
}

/** Whether a variable that `sudo` sets holds what `sudo` would set. */
function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,9}$/.test(text);
}
