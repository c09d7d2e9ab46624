/**
 * Commands that make and remove the network: short ones, each run to its end.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";

/** Debian's packages of the programs that the lab uses, for who lacks one. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  ping: "iputils-ping",
};

/**
 * Makes sure that programs can be found, before anything is changed.
 *
 * @throws {OperatorError} naming the first that is missing
 */
export function requirePrograms(...programs: string[]): void {
  const directories = (Deno.env.get("PATH") ?? "").split(":");
  for (const program of programs) {
    if (!directories.some((directory) => exists(`${directory}/${program}`))) throw missing(program);
  }
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
 * Runs a command to its end.
 *
 * @param doing what it is for, e.g. `cannot join the namespaces`, ready for an error message
 * @param stdin what it reads
 * @throws {OperatorError} with the command's own words, if it fails
 */
export async function run(
  doing: string,
  [program, ...args]: readonly [string, ...string[]],
  stdin: string = "",
): Promise<void> {
  const child = spawn(program, args);
  const writer = child.stdin.getWriter();
  // A command that ends before it has read everything tells why by its status.
  const writing = writer.write(new TextEncoder().encode(stdin)).then(() => writer.close()).catch(() => {});
  const { success, code, stderr } = await child.output();
  await writing;
  if (success) return;
  const words = new TextDecoder().decode(stderr).trim().split("\n")[0];
  throw new OperatorError(
    `${doing}: ${words || `${program} ended with exit code ${code}`}`,
    "nothing is left of it; see `dmesg` and `ip netns` for what is in the way",
  );
}

function spawn(program: string, args: string[]): Deno.ChildProcess {
  try {
    return new Deno.Command(program, {
      args,
      // A Ctrl+C in the terminal is for us to act on. A command that has begun is finished, so that it can be undone.
      detached: true,
      env: { LC_ALL: "C" },
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
  } catch (cause) {
    throw cause instanceof Deno.errors.NotFound ? missing(program, cause) : cause;
  }
}

function missing(program: string, cause?: unknown): OperatorError {
  const name = PACKAGES[program] ?? program;
  return new OperatorError(
    `the program ${program} is missing`,
    `install ${name}, e.g. \`apt-get install ${name}\``,
    ExitCode.hostLacks,
    { cause },
  );
}
