/**
 * Runs programs on the host, mostly `ip`. One `ip` process carries out many commands, because its
 * start takes longest.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../../errors.ts";
import { mayExecute } from "../../sys/file.ts";
import { type Action, type Command, show } from "../plan/action.ts";
import type { FirewallTool } from "../plan/firewall.ts";

/** A command of `ip`. */
type IpCommand = readonly ["ip", ...args: string[]];

/** The command of an action that `ip` carries out, for a batch; undefined for any other action. */
export function ipCommand(action: Action): IpCommand | undefined {
  if (action.kind !== "command") return undefined;
  const [program, ...args] = action.words;
  return program === "ip" ? [program, ...args] : undefined;
}

/**
 * Where to look for programs. The PATH of many users lacks the directories of administration
 * programs.
 */
export const searchPath = (): string => `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;

/** Programs found before, with the path that was searched: a long search path takes a while. */
const found = new Map<string, { readonly file: string; readonly searched: string }>();

/** The package that a missing program comes from. */
const PACKAGES: Record<string, string> = {
  ip: "iproute2",
  nft: "nftables",
  iptables: "iptables",
  ping: "iputils-ping",
};

/**
 * Runs a command. Ctrl+C in the terminal does not reach it: nobody would know how to undo a change
 * that was cut short.
 *
 * @returns what it printed
 * @throws {OperatorError} if the program is missing or fails; the message holds the program's own
 *   words
 */
export async function execute(command: Command): Promise<string> {
  return printed(command, await outputOf(command, { detached: true }));
}

/** The error of a batch that did not complete. */
export class BatchError extends OperatorError {
  /** How many of its commands succeeded; undefined if `ip` did not say how far it got. */
  readonly done: number | undefined;
  /** The signal that ended `ip`, if one did. */
  readonly signal: Deno.Signal | null;

  constructor(
    { message, remedy, exitCode, cause }: OperatorError,
    done: number | undefined,
    signal: Deno.Signal | null = null,
  ) {
    super(message, remedy, exitCode, { cause });
    this.done = done;
    this.signal = signal;
  }
}

/** How a batch runs. */
export interface BatchOptions {
  /**
   * Whether Ctrl+C may cut it short, because the journal records all of it. `ip` then starts 7 ms
   * sooner.
   */
  readonly mayBeCutShort?: boolean;
}

/**
 * Carries out several commands of `ip` with one process, in order, up to the first that fails.
 * Otherwise like {@linkcode execute}.
 *
 * @param commands their words contain no blanks
 * @throws {BatchError} if one of several fails
 */
export async function executeBatch(
  commands: readonly IpCommand[],
  { mayBeCutShort = false }: BatchOptions = {},
): Promise<void> {
  const [only] = commands;
  if (only === undefined) return;
  if (commands.length === 1) return void await execute(only);
  batchPrinted([], commands, await batchOutput([], commands, { detached: !mayBeCutShort }));
}

/**
 * Queries `ip` with one process. It starts sooner than one that changes something, but Ctrl+C in
 * the terminal may end it. In that case the query is repeated.
 *
 * @param options of `ip` itself, e.g. `-json`; they apply to all commands
 * @param commands their words contain no blanks
 * @returns what the commands printed, in order
 * @throws {OperatorError} if the program is missing or fails; the message holds the program's own
 *   words
 */
export async function ask(options: readonly string[], commands: readonly IpCommand[]): Promise<string> {
  const output = await batchOutput(options, commands, {});
  return batchPrinted(
    options,
    commands,
    output.signal === null ? output : await batchOutput(options, commands, { detached: true }),
  );
}

/** Options of {@linkcode outputOf}. */
type How = Pick<Deno.CommandOptions, "detached">;

async function batchOutput(
  options: readonly string[],
  commands: readonly IpCommand[],
  how: How,
): Promise<Deno.CommandOutput> {
  const lines = commands.map(([, ...args]) => `${args.join(" ")}\n`).join("");
  return await outputOf(["ip", ...options, "-batch", "-"], how, lines);
}

/** The output of a batch that succeeded. */
function batchPrinted(
  options: readonly string[],
  commands: readonly IpCommand[],
  output: Deno.CommandOutput,
): string {
  // After the reason, `ip` says "Command failed -:2" (ip(8)). It does not if it cannot parse a
  // command.
  const [, line] = /^Command failed -:(\d+)/m.exec(new TextDecoder().decode(output.stderr)) ?? [];
  const done = line === undefined ? undefined : Number(line) - 1;
  const [, ...words] = commands[done ?? -1] ?? ["ip", "-batch", "-"];
  try {
    return printed(["ip", ...options, ...words], output);
  } catch (error) {
    throw error instanceof OperatorError ? new BatchError(error, done, output.signal) : error;
  }
}

/**
 * Runs a program. A detached one, in its own session, needs fork(2), which first copies all our
 * page tables. Without that, posix_spawn(3) starts it 5 ms sooner. A PATH given with it would need
 * fork(2) as well.
 */
async function outputOf(
  [program, ...args]: Command,
  how: How,
  input?: string,
): Promise<Deno.CommandOutput> {
  const path = find(program);
  if (path === undefined) throw missing(program);
  const runnable = new Deno.Command(path, {
    ...how,
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
    // It was there a moment ago.
    throw cause instanceof Deno.errors.NotFound ? missing(program, cause) : cause;
  }
  if (input !== undefined) {
    const stdin = child.stdin.getWriter();
    // A program that has ended does not read. Its own words say why.
    void stdin.write(new TextEncoder().encode(input)).then(() => stdin.close()).catch(() => {});
  }
  return await child.output();
}

/** The output of a command that succeeded. */
function printed(command: Command, { success, code, signal, stdout, stderr }: Deno.CommandOutput): string {
  if (success) return new TextDecoder().decode(stdout);
  const words = new TextDecoder().decode(stderr).trim().split("\n")[0] ?? "";
  const end = signal === null ? `exit code ${code}` : `ended by ${signal}`;
  throw failure(command, words === "" ? end : words);
}

/** The error of a command that failed. */
export function failure(command: Command, why: string, cause?: unknown): OperatorError {
  return new OperatorError(`\`${show(command)}\` failed: ${why}`, "run it by hand to see why", undefined, {
    cause,
  });
}

/** Whether this host has a program of this name. */
export function isInstalled(program: string): boolean {
  return find(program) !== undefined;
}

/** The program that makes firewall rules here; undefined if there is none. */
export function firewallTool(): FirewallTool | undefined {
  return (["nft", "iptables"] as const).find(isInstalled);
}

/** The path of a program; undefined if this host does not have it. */
function find(program: string): string | undefined {
  const path = searchPath();
  const known = found.get(program);
  if (known?.searched === path) return known.file;
  const file = path.split(":").map((dir) => `${dir}/${program}`)
    .find((file) => mayExecute(file) && isFile(file));
  if (file !== undefined) found.set(program, { file, searched: path });
  return file;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // it has just gone
  }
}

/** The error of a missing program. */
export function missing(program: string, cause?: unknown): OperatorError {
  const name = PACKAGES[program] ?? program;
  return new OperatorError(
    `the program ${program} is missing`,
    `install ${name}, e.g. \`apt-get install ${name}\``,
    ExitCode.hostLacks,
    { cause },
  );
}
