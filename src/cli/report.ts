/**
 * Errors as the user sees them: one line that names the cause and the remedy.
 *
 * @module
 */
import { ExitCode, OperatorError, SysError } from "../errors.ts";

/** The line for stderr, and the exit code. */
export interface Report {
  readonly line: string;
  readonly exitCode: ExitCode;
}

/** Describes an error to a user. */
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

/** Whether the operating system refused something, e.g. a full disk. That is not a bug. */
function isHostError(error: unknown): error is Error {
  return error instanceof Error && /^E[A-Z]+$/.test(String((error as Error & { code?: unknown }).code));
}

/** Whether the user wants to see an error's stack. */
export function wantsStack(argv: readonly string[]): boolean {
  return Boolean(Deno.env.get("ONION_DEBUG")) || /--log-level[= ]debug/.test(argv.join(" "));
}

/** Removes line ends and control characters, because a message may quote text from outside. */
export function oneLine(text: string): string {
  return text.replace(/[\s\p{C}]+/gu, " ").trim();
}
