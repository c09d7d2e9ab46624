/**
 * Errors as the user sees them: one line, which names the cause and the remedy.
 *
 * @module
 */
import { ExitCode, OperatorError, SysError } from "../errors.ts";

/** What to print on stderr, and what to exit with. */
export interface Report {
  readonly line: string;
  readonly exitCode: ExitCode;
}

/** Says what went wrong to somebody who uses onion, not to somebody who writes it. */
export function report(error: unknown): Report {
  if (error instanceof OperatorError) {
    return { line: oneLine(`onion: ${error.message}; ${error.remedy}`), exitCode: error.exitCode };
  }
  if (error instanceof SysError) {
    return { line: oneLine(`onion: ${error.message}`), exitCode: ExitCode.failed };
  }
  if (isHostError(error)) return { line: oneLine(`onion: ${error.message}`), exitCode: ExitCode.failed };
  const message = error instanceof Error ? error.message || error.name : String(error);
  return {
    line: oneLine(`onion: internal error: ${message}; please report it with --log-level debug`),
    exitCode: ExitCode.failed,
  };
}

/** Whether the operating system refused something, such as room on a disk: it says so itself, and it is no bug. */
function isHostError(error: unknown): error is Error {
  return error instanceof Error && /^E[A-Z]+$/.test(String((error as Error & { code?: unknown }).code));
}

/** Whether the user wants to see where an error came from, too. */
export function wantsStack(argv: readonly string[]): boolean {
  return Boolean(Deno.env.get("ONION_DEBUG")) || /--log-level[= ]debug/.test(argv.join(" "));
}

/** Messages may quote what others wrote; line ends and control characters are not theirs to send to a terminal. */
export function oneLine(text: string): string {
  return text.replace(/[\s\p{C}]+/gu, " ").trim();
}
