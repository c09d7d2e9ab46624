/**
 * The commands that make and remove the network. Each runs to its end.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { isInstalled, missing, searchPath } from "../host/apply/programs.ts";
import type { Command } from "../host/plan/action.ts";

/**
 * Checks that programs are installed, before anything changes.
 *
 * @throws {OperatorError} that names the first missing program
 */
export function requirePrograms(...programs: string[]): void {
  const lack = programs.find((program) => !isInstalled(program));
  if (lack !== undefined) throw missing(lack);
}

/** The inode of a file or directory; undefined if it does not exist. */
export function inode(path: string): number | undefined {
  try {
    return Deno.statSync(path).ino ?? undefined;
  } catch {
    return undefined;
  }
}

/** Whether a file or directory exists. */
export function exists(path: string): boolean {
  return inode(path) !== undefined;
}

/**
 * Runs a command to its end. Ctrl+C in the terminal does not reach the command, so its changes are
 * complete and can be undone.
 *
 * @param doing the beginning of an error message, e.g. `cannot make the namespaces`
 * @param stdin the command's input
 * @returns the command's output
 * @throws {OperatorError} with the command's own message, if it fails
 */
export async function run(doing: string, [program, ...args]: Command, stdin = ""): Promise<string> {
  const child = new Deno.Command(program, {
    args,
    detached: true,
    env: { LC_ALL: "C", PATH: searchPath() },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [{ success, code, stdout, stderr }] = await Promise.all([child.output(), feed(child.stdin, stdin)]);
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  const words = decoder.decode(stderr).trim().split("\n")[0];
  throw new OperatorError(
    `${doing}: ${words || `${program} ended with exit code ${code}`}`,
    "look for the cause with `ip netns` and `dmesg`",
  );
}

/** Writes the input. Ignores a command that ends early, because its exit code tells why. */
async function feed(stdin: WritableStream<Uint8Array<ArrayBuffer>>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  await writer.write(new TextEncoder().encode(text)).then(() => writer.close()).catch(() => {});
}
