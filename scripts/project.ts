/**
 * The project as its build sees it: paths, modules that tools must be told of, and how to run Deno.
 *
 * @module
 */

/** Directory of the checkout, with a final slash. */
export const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname);

/** Directory for everything that is built and that git ignores. */
export const DIST = `${ROOT}dist`;

/** Modules that are started and not imported, so that tools cannot find them. */
export const STARTED_MODULES: readonly string[] = ["src/runtime/packet_thread.ts"];

/** Max time for a Deno command of the build, including a download. */
const LIMIT_MS = 300_000;

/** How a Deno command ended, and its stderr. */
interface Ended {
  readonly success: boolean;
  readonly said: string;
}

/** Runs this Deno in the checkout. */
export async function deno(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(LIMIT_MS),
  }).output();
  return { success, said: new TextDecoder().decode(stderr) };
}

/** Whether a file exists. */
export function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** SHA-256 of bytes in several pieces, in lower-case hexadecimal. */
export async function sha256(parts: readonly (string | Uint8Array<ArrayBuffer>)[]): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await new Blob([...parts]).arrayBuffer());
  return new Uint8Array(digest).toHex();
}
