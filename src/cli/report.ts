/**
 * Errors as the user sees them: one line that names the cause and the remedy.
 *
 * @module
 */
import { ExitCode, OperatorError, SysError } from "../errors.ts";

/** The line for stderr, and the exit code. */
interface Report {
  readonly line: string;
  readonly exitCode: ExitCode;
}

/** Describes an error to a user. */
export function report(error: unknown): Report {
  if (error instanceof OperatorError) return onion(`${error.message}; ${error.remedy}`, error.exitCode);
  if (error instanceof SysError || isHostError(error)) return onion(error.message);
  const message = error instanceof Error ? error.message || error.name : String(error);
  return onion(`internal error: ${message}; please report it with --log-level debug`);
}

function onion(says: string, exitCode: ExitCode = ExitCode.failed): Report {
  return { line: oneLine(`onion: ${says}`), exitCode };
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
