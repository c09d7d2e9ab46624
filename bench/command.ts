/**
 * Runs a command to its end.
 *
 * @module
 */

/** A failed command: its words and the most telling line of its output. */
class CommandError extends Error {
  override readonly name = "CommandError";

  constructor(command: readonly string[], code: number, said: string) {
    super(
      `\`${command.join(" ")}\` failed with exit code ${code}: ${tellingLine(said) || "it said nothing"}`,
    );
  }
}

/** How to run a command. */
export interface RunOptions {
  /** Ends the command early; {@linkcode run} then throws the signal's reason. */
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Record<string, string>;
  /** Exit codes that are not failures; only 0 unless given. */
  readonly fine?: readonly number[];
}

/**
 * Runs `command` and returns its stdout. The command has its own session, so Ctrl+C reaches only
 * the bench, which then ends everything in order.
 *
 * @throws CommandError if the command fails
 */
export async function run(
  command: readonly [string, ...string[]],
  options: RunOptions = {},
): Promise<string> {
  options.signal?.throwIfAborted();
  const [program, ...args] = command;
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
    env: { LC_ALL: "C", NO_COLOR: "1", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }).output();
  options.signal?.throwIfAborted();
  const said = new TextDecoder().decode(stdout);
  if (!(options.fine ?? [0]).includes(code)) {
    throw new CommandError(command, code, new TextDecoder().decode(stderr) || said);
  }
  return said;
}

/** The last line that is not empty. */
function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.trim() ?? "";
}

/**
 * The first line that mentions an error, because a stack or a hint may follow it; otherwise the
 * last line.
 */
export function tellingLine(text: string): string {
  return /^.*(?:error|fatal).*$/im.exec(text)?.[0].trim() ?? lastLine(text);
}
