/**
 * Network interfaces by name, and files by owner: the odd small questions to the C library.
 *
 * @module
 */
import { check, cString, libc } from "./libc.ts";

/** Whether there is a network interface of this name. */
export function interfaceExists(name: string): boolean {
  return libc.if_nametoindex(cString(name)) !== 0;
}

/**
 * Gives a file to somebody, without following it if it is a link.
 *
 * @throws {SysError}
 */
export function changeOwner(path: string, uid: number, gid: number): void {
  check(libc.lchown(cString(path), uid, gid), `Cannot give ${path} to uid ${uid}`, "lchown");
}
