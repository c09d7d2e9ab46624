/**
 * A user who may do nothing that is not for everybody.
 *
 * @module
 */
import { needing, ONION } from "./program.ts";

/** User and group id. */
export const NOBODY_ID = 65534;

/** Words before a command line that is to run as nobody. */
export const AS_NOBODY: readonly string[] = [
  "setpriv",
  `--reuid=${NOBODY_ID}`,
  `--regid=${NOBODY_ID}`,
  "--clear-groups",
  "--bounding-set=-all",
];

/** As {@linkcode needing}, for a test that runs the executable as nobody: a checkout in somebody's home is closed to them. */
export function needingNobody(name: string, ...needs: string[]): { name: string; ignore: boolean } {
  return needingForNobody(name, ONION, "a checkout", needs);
}

/** The same, for a test that runs Deno as nobody. */
export function needingNobodysDeno(name: string, ...needs: string[]): { name: string; ignore: boolean } {
  return needingForNobody(name, Deno.execPath(), "a Deno", needs);
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
