/**
 * A user without any privilege.
 *
 * @module
 */
import { needing, ONION } from "./program.ts";

/** The user and group id. */
export const NOBODY_ID = 65534;

/** A prefix that runs a command line as nobody. */
export const AS_NOBODY: readonly string[] = [
  "setpriv",
  `--reuid=${NOBODY_ID}`,
  `--regid=${NOBODY_ID}`,
  "--clear-groups",
  "--bounding-set=-all",
];

/**
 * Like {@linkcode needing}, for a test that runs the executable as nobody, who cannot read a
 * checkout in a home directory.
 */
export function needingNobody(name: string, ...needs: string[]): { name: string; ignore: boolean } {
  return needingForNobody(name, ONION, "a checkout", needs);
}

/**
 * Like {@linkcode needingNobody}, for a test that runs Deno as nobody, with a file in the checkout.
 */
export function needingNobodysDeno(name: string, ...needs: string[]): { name: string; ignore: boolean } {
  const start = needingNobody(name, ...needs);
  return start.ignore ? start : needingForNobody(name, Deno.execPath(), "a Deno", needs);
}

function needingForNobody(
  name: string,
  program: string,
  what: string,
  needs: readonly string[],
): { name: string; ignore: boolean } {
  const start = needing(name, "root", "setpriv", ...needs);
  if (start.ignore) return start;
  const [command = "", ...args] = [...AS_NOBODY, "test", "-x", program];
  if (new Deno.Command(command, { args }).outputSync().success) return start;
  return { name: `${name} (needs ${what} that others may read)`, ignore: true };
}
