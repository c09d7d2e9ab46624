/**
 * Carrying out commands on the host: every question to and every change of its network goes through here.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";

/** A program and its arguments, as somebody would type them. */
export type Command = readonly [program: string, ...args: string[]];

/** One of `ip`. */
export type IpCommand = readonly ["ip", ...args: string[]];

/** Where programs are looked for: many a user's PATH lacks the directories of those that change the network. */
export const searchPath = (): string => `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;

/** `<sys/stat.h>`: S_IXUSR, S_IXGRP and S_IXOTH. */
const ANY_EXECUTE = 0o111;

/** Programs that have been found, and where they were looked for: where there are many directories, that takes a while. */
const found = new Map<string, { readonly file: string; readonly searched: string }>();

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
  if (command[0] === "sysctl") return writeSysctl(command);
  return printed(command, await outputOf(command, { detached: true }));
}

/**
 * Carries several commands of `ip` out, one after the other up to the first that fails, by one process: its start takes longer
 * than they do. Like {@linkcode execute} otherwise.
 *
 * @param commands their words have no blanks in them
 */
export async function executeBatch(commands: readonly IpCommand[]): Promise<void> {
  const [only] = commands;
  if (only === undefined) return;
  if (commands.length === 1) return void await execute(only);
  const lines = commands.map(([, ...args]) => `${args.join(" ")}\n`).join("");
  const output = await outputOf(["ip", "-batch", "-"], { detached: true }, lines);
  // ip(8): "Command failed -:2", after what went wrong.
  const [, line = "1"] = /^Command failed -:(\d+)/m.exec(new TextDecoder().decode(output.stderr)) ?? [];
  printed(commands[Number(line) - 1] ?? only, output);
}

/**
 * Asks the host something: a command that changes nothing. It is there sooner than one that is carried out, but may hear of
 * Ctrl+C; then it is asked again.
 *
 * @returns what it printed
 * @throws {OperatorError} where the program is missing or fails, with its own words
 */
export async function ask(command: Command): Promise<string> {
  const output = await outputOf(command, {});
  return output.signal === null ? printed(command, output) : await execute(command);
}

/**
 * Runs a program. Where it is detached, which is to be in a session of its own, or is to be looked for in a PATH that is given
 * with it, all our page tables are copied first (fork(2)); otherwise it is there 5 ms sooner (posix_spawn(3)).
 */
async function outputOf(
  [program, ...args]: Command,
  options: Pick<Deno.CommandOptions, "detached">,
  input?: string,
): Promise<Deno.CommandOutput> {
  const path = find(program);
  if (path === undefined) throw missing(program);
  const runnable = new Deno.Command(path, {
    ...options,
    args,
    env: { LC_ALL: "C" },
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });
  let child: Deno.ChildProcess;
  try {
    child = runnable.spawn(); // `output` would overlook `detached`
  } catch (cause) {
    // It was there when it was looked for.
    throw cause instanceof Deno.errors.NotFound ? missing(program, cause) : cause;
  }
  if (input !== undefined) {
    const stdin = child.stdin.getWriter();
    // One that has ended does not read; its own words say why.
    void stdin.write(new TextEncoder().encode(input)).then(() => stdin.close()).catch(() => {});
  }
  return await child.output();
}

/** What a command printed, where it ended well. */
function printed(command: Command, { success, code, stdout, stderr }: Deno.CommandOutput): string {
  if (success) return new TextDecoder().decode(stdout);
  const words = new TextDecoder().decode(stderr).trim().split("\n")[0] ?? "";
  throw new OperatorError(
    `\`${show(command)}\` failed: ${words === "" ? `exit code ${code}` : words}`,
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
  return find(program) !== undefined;
}

/** Where the program of this name lies. */
function find(program: string): string | undefined {
  const path = searchPath();
  const known = found.get(program);
  if (known?.searched === path) return known.file;
  const file = path.split(":").map((dir) => `${dir}/${program}`).find((file) => {
    try {
      const { isFile, mode } = Deno.statSync(file);
      return isFile && (mode! & ANY_EXECUTE) !== 0;
    } catch {
      return false;
    }
  });
  if (file !== undefined) found.set(program, { file, searched: path });
  return file;
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
