/**
 * Carrying out commands on the host: every question to and every change of its network goes through here.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";

/** A program and its arguments, as somebody would type them. */
export type Command = readonly [program: string, ...args: string[]];

/** Where programs are looked for: many a user's PATH lacks the directories of those that change the network. */
export const searchPath = (): string => `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;

/** Where programs come from, for those who lack one. */
const PACKAGES: Record<string, string> = {
  ip: "iproute2",
  nft: "nftables",
  iptables: "iptables",
  ping: "iputils-ping",
};

/**
 * Carries a command out. `sysctl -w NAME=VALUE` is done by writing to /proc, for the program may be missing.
 *
 * It gets no signals from the terminal: what Ctrl+C ended half-way, nobody would know how to undo.
 *
 * @returns what it printed
 * @throws {OperatorError} where the program is missing or fails, with its own words
 */
export async function execute(command: Command): Promise<string> {
  const [program, ...args] = command;
  if (program === "sysctl") return writeSysctl(command);
  const env = { LC_ALL: "C", PATH: searchPath() };
  let output: Deno.CommandOutput;
  try {
    // Without `spawn`, Deno overlooks `detached`.
    output = await new Deno.Command(program, {
      args,
      env,
      detached: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn().output();
  } catch (cause) {
    throw cause instanceof Deno.errors.NotFound ? missing(program, cause) : cause;
  }
  if (output.success) return new TextDecoder().decode(output.stdout);
  const words = new TextDecoder().decode(output.stderr).trim().split("\n")[0] ?? "";
  throw new OperatorError(
    `\`${show(command)}\` failed: ${words === "" ? `exit code ${output.code}` : words}`,
    "run it by hand to see why",
  );
}

/** A command as a shell takes it. */
export function show(command: Command): string {
  return command.map((word) => /^[\w./:=@,%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)
    .join(" ");
}

/** Whether there is a program of this name. */
export function isInstalled(program: string): boolean {
  return searchPath().split(":").some((dir) => {
    try {
      return Deno.statSync(`${dir}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

/** What a sysctl is set to, e.g. of `net.ipv4.conf.eth0.rp_filter`; undefined where there is none of this name. */
export function readSysctl(name: string): string | undefined {
  try {
    return Deno.readTextFileSync(sysctlPath(name)).trim();
  } catch {
    return undefined;
  }
}

function writeSysctl(command: Command): string {
  const [name, value] = command[2]!.split("=") as [string, string];
  try {
    Deno.writeTextFileSync(sysctlPath(name), value);
    return "";
  } catch (cause) {
    throw new OperatorError(
      `\`${show(command)}\` failed: ${(cause as Error).message}`,
      "run it by hand to see why",
      undefined,
      { cause },
    );
  }
}

/** sysctl(8): dots separate the parts of a name; where a part has dots itself, slashes do. */
function sysctlPath(name: string): string {
  return `/proc/sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`;
}

/** The error of a program that this host does not have. */
export function missing(program: string, cause?: unknown): OperatorError {
  const name = PACKAGES[program] ?? program;
  return new OperatorError(
    `the program ${program} is missing`,
    `install ${name}, e.g. \`apt-get install ${name}\``,
    ExitCode.hostLacks,
    { cause },
  );
}
