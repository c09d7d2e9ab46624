/**
 * Replaces this process by another program: execvp(3).
 *
 * @module
 */
import { check, cString, libcWith } from "./libc.ts";

const libc = libcWith("signal", "execvp");

/** <bits/signum-generic.h>: `#define SIGPIPE 13`, and `SIG_DFL` is the null pointer. */
const SIGPIPE = 13;

/**
 * Replaces this process by a program. PID, parent, terminal and open files stay, so signals, job
 * control and the exit code are those of the program. The kernel ends all other threads; nothing is
 * cleaned up.
 *
 * @param command the program and its arguments; a name without a slash is looked up in PATH
 * @throws {SysError} if it cannot be started
 */
export function become(command: readonly [string, ...string[]]): never {
  const words = command.map(cString);
  // char *argv[], terminated by a null pointer.
  const argv = new BigUint64Array(words.length + 1);
  words.forEach((word, index) => argv[index] = Deno.UnsafePointer.value(Deno.UnsafePointer.of(word)));
  // An ignored signal stays ignored across execve(2), and Rust's runtime ignores this one.
  libc.signal(SIGPIPE, null);
  const result = libc.execvp(words[0]!, argv);
  check(result, `Cannot start ${command[0]}`, "execvp");
  throw new TypeError("execvp returned without an error");
}
