/**
 * The executable of `deno compile`: program and runtime in one ELF file.
 *
 * @module
 */
import { V8_FLAGS, VERSION } from "../src/run/self.ts";
import { deno, exists, STARTED_MODULES } from "./project.ts";

/** Max time for the server of the runtime base to answer. */
const ANSWER_MS = 5_000;

/** The arguments of Deno that compile the program into a file. */
export function compileArguments(output: string): string[] {
  return [
    "compile",
    "--no-check", // the gate checks types
    "--allow-all",
    V8_FLAGS,
    // Deno keeps the code cache of a compiled program under a predictable name in /tmp, where
    // anyone could place one for root.
    "--no-code-cache",
    ...STARTED_MODULES.flatMap((path) => ["--include", path]),
    "--output",
    output,
    "main.ts",
  ];
}

/** Makes the executable. Returns why that failed, as words after a colon, or nothing. */
export async function denoCompile(output: string): Promise<string | undefined> {
  const unreachable = await whyNoRuntimeBase();
  if (unreachable !== undefined) return unreachable;
  const { success, said } = await deno(compileArguments(output));
  if (!success) return `it failed (${innermostCause(said)})`;
  // Deno may accept a base that is no `denort`, which then ignores the program.
  const itself = await outputOf(output, ["--version"]).catch((error: Error) => error.message);
  return itself.includes(`onion ${VERSION}`) ? undefined : "its executable does not run the program";
}

/**
 * Whether the runtime base exists or can be downloaded. `deno compile` may need minutes to find
 * out.
 */
async function whyNoRuntimeBase(): Promise<string | undefined> {
  if (Deno.env.has("DENORT_BIN")) return undefined;
  const path = `release/v${Deno.version.deno}/denort-${Deno.build.target}.zip`;
  const { denoDir } = JSON.parse(await outputOf(Deno.execPath(), ["info", "--json"]));
  if (exists(`${denoDir}/dl/${path}`)) return undefined;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const { ok, status } = await fetch(`https://dl.deno.land/${path}`, { method: "HEAD", signal });
    return ok ? undefined : `its runtime base cannot be downloaded (HTTP status ${status})`;
  } catch {
    return "its runtime base cannot be downloaded";
  }
}

/** The last line of Deno's error message. */
function innermostCause(said: string): string {
  const [error = ""] = said.split("\n\nStack backtrace");
  return error.trim().split("\n").at(-1)?.trim() || "without a word";
}

async function outputOf(command: string, args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args, stdin: "null", stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}
