/**
 * Runs programs on the host, above all `ip`: many commands by one process, because starting it
 * takes longest.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../../errors.ts";
import { mayExecute } from "../../sys/file.ts";
import { type Action, type Command, show } from "../plan/action.ts";
import type { FirewallTool } from "../plan/firewall.ts";

/** A command of `ip`. */
export type IpCommand = readonly ["ip", ...args: string[]];

/**
 * The command of an action that `ip` carries out, so that a batch can hold it; undefined for any
 * other action.
 */
export function ipCommand(action: Action): IpCommand | undefined {
  if (action.kind !== "command") return undefined;
  const [program, ...args] = action.words;
  return program === "ip" ? [program, ...args] : undefined;
}

/**
 * Where programs are looked for: many a user's PATH lacks the directories of those that change the
 * network.
 */
export const searchPath = (): string => `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;

/**
 * Programs that have been found, and where they were looked for: where there are many directories,
 * that takes a while.
 */
const found = new Map<string, { readonly file: string; readonly searched: string }>();

/** Where programs come from, for those who lack one. */
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

/** A batch that came to an early end. */
export class BatchError extends OperatorError {
  /** How many of its commands were carried out; nothing where `ip` did not say how far it got. */
  readonly done: number | undefined;
  /** What ended `ip`, if it did not end by itself. */
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
interface BatchOptions {
  /**
   * Whether Ctrl+C may end it half-way, because the journal holds all of it. The process then
   * starts 7 ms sooner.
   */
  readonly mayBeCutShort?: boolean;
}

/**
 * Carries several commands of `ip` out, one after the other up to the first that fails, by one
 * process: its start takes longer than they do. Like {@linkcode execute} otherwise.
 *
 * @param commands their words contain no blanks
 * @throws {BatchError} where one of several fails
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
 * Asks `ip` several things, which changes nothing, by one process. That is there sooner than one
 * that carries something out, but may hear of Ctrl+C; then it is asked again.
 *
 * @param options of `ip` itself, e.g. `-json`, which count for all
 * @param commands their words have no blanks in them
 * @returns what they printed, one after the other
 * @throws {OperatorError} where the program is missing or fails, with its own words
 */
export async function ask(options: readonly string[], commands: readonly IpCommand[]): Promise<string> {
  const output = await batchOutput(options, commands, {});
  return batchPrinted(
    options,
    commands,
    output.signal === null ? output : await batchOutput(options, commands, { detached: true }),
  );
}

/** How a program is run; see {@linkcode outputOf}. */
type How = Pick<Deno.CommandOptions, "detached">;

async function batchOutput(
  options: readonly string[],
  commands: readonly IpCommand[],
  how: How,
): Promise<Deno.CommandOutput> {
  const lines = commands.map(([, ...args]) => `${args.join(" ")}\n`).join("");
  return await outputOf(["ip", ...options, "-batch", "-"], how, lines);
}

/** What a batch printed, where all of it ended well. */
function batchPrinted(
  options: readonly string[],
  commands: readonly IpCommand[],
  output: Deno.CommandOutput,
): string {
  // ip(8): "Command failed -:2", after what went wrong. What it cannot even parse, it leaves at
  // once for, and says nothing more.
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
 * Runs a program. Where it is detached, which is to be in a session of its own, or is to be looked
 * for in a PATH that is given with it, all our page tables are copied first (fork(2)); otherwise it
 * is there 5 ms sooner (posix_spawn(3)).
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

/** Whether there is a program of this name. */
export function isInstalled(program: string): boolean {
  return find(program) !== undefined;
}

/** The program that makes firewall rules here; undefined if there is none. */
export function firewallTool(): FirewallTool | undefined {
  return (["nft", "iptables"] as const).find(isInstalled);
}

/** Where the program of this name lies. */
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
    return false; // gone since
  }
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
