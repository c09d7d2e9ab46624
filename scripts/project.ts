/**
 * The project as its build sees it: where it lies, what has to be named to every tool, and how Deno is run in it.
 *
 * @module
 */

/** The checkout's directory, with a slash at its end. */
export const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname);

/** Where everything goes that is made and that git ignores. */
export const DIST = `${ROOT}dist`;

/** Modules that are started, not imported, so that no tool finds them by itself. */
export const STARTED_MODULES: readonly string[] = ["src/runtime/packet_thread.ts"];

/** How long a Deno command of the build may take, a download included, before it is ended. */
const LIMIT_MS = 300_000;

/** How a Deno command ended, and what it said on stderr. */
interface Ended {
  readonly success: boolean;
  readonly said: string;
}

/** Runs the Deno that runs this in the checkout. */
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

/** Says whether a file exists. */
export function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The SHA-256 of bytes that lie in several pieces, in lower-case hexadecimal. */
export async function sha256(parts: readonly (string | Uint8Array<ArrayBuffer>)[]): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await new Blob([...parts]).arrayBuffer());
  return new Uint8Array(digest).toHex();
}
