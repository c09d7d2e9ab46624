/**
 * Files by owner.
 *
 * @module
 */
import { check, libc } from "./libc.ts";

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
