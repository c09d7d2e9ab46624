/**
 * Becoming another program: execvp(3).
 *
 * @module
 */
import { check, cString, libcWith } from "./libc.ts";

const libc = libcWith("signal", "execvp");

/** <bits/signum-generic.h>: `#define SIGPIPE 13`, and `SIG_DFL` is the null pointer. */
const SIGPIPE = 13;

/**
 * Replaces this process by a program: the same PID, parent, terminal and open files, so signals, job control and the
 * exit code are the program's own. The kernel ends every other thread; nothing is cleaned up, and nothing comes back.
 *
 * @param command the program, looked for in PATH if its name has no slash, and its arguments
 * @throws {SysError} if it cannot be started
 */
export function become(command: readonly [string, ...string[]]): never {
  const words = command.map(cString);
  // char *argv[], closed by a null pointer.
  const argv = new BigUint64Array(words.length + 1);
  words.forEach((word, index) => argv[index] = Deno.UnsafePointer.value(Deno.UnsafePointer.of(word)));
  // Handlers end with the old program, but a signal that is ignored stays ignored; Rust's runtime ignores this one.
  libc.signal(SIGPIPE, null);
  const result = libc.execvp(words[0]!, argv);
  check(result, `Cannot start ${command[0]}`, "execvp");
  throw new TypeError("execvp has come back without an error");
}
