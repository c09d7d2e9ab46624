/**
 * Commands that make and remove the network: short ones, each run to its end.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import { isInstalled, missing, searchPath } from "../host/apply/programs.ts";
import type { Command } from "../host/plan/action.ts";

/**
 * Makes sure that programs can be found, before anything is changed.
 *
 * @throws {OperatorError} naming the first that is missing
 */
export function requirePrograms(...programs: string[]): void {
  const lack = programs.find((program) => !isInstalled(program));
  if (lack !== undefined) throw missing(lack);
}

/** Whether there is a file or a directory of this name. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a command to its end. Unlike the commands of a run, it reads what it is to do, and a Ctrl+C in the terminal
 * does not reach it: what has begun is finished, so that it can be undone.
 *
 * @param doing what it is for, as an error message begins, e.g. `cannot make the namespaces`
 * @param stdin what it reads
 * @returns what it printed
 * @throws {OperatorError} with the command's own words, if it fails
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
    "see `ip netns` and `dmesg` for what is in the way",
  );
}

/** A command that ends before it has read everything tells why by its exit code. */
async function feed(stdin: WritableStream<Uint8Array<ArrayBuffer>>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  await writer.write(new TextEncoder().encode(text)).then(() => writer.close()).catch(() => {});
}
