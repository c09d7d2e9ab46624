/**
 * Programs under test, and what a test needs to run them.
 *
 * @module
 */
import { VERSION } from "../../../src/run/self.ts";
import { DIST, exists, ROOT } from "../../../scripts/project.ts";
import { selfExtracting } from "../../../scripts/self_extracting.ts";

/** The executable built by `deno task build`. */
export const ONION = `${ROOT}onion`;

/** The output of `--version` of the self-extracting kind. */
export const EXTRACTED_VERSION = `onion ${VERSION} (Deno ${Deno.version.deno}, self-extracting)\n`;

/** How a program ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export async function run(
  command: string,
  args: string[],
  options: Deno.CommandOptions = {},
): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command(command, { stdin: "null", ...options, args })
    .output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

let extracting: Promise<string> | undefined;

/**
 * The path of a self-extracting executable: `./onion`, or another one if `deno compile` made that.
 */
export function selfExtractingOnion(): Promise<string> {
  return extracting ??= (async () => {
    using file = Deno.openSync(ONION);
    const start = new Uint8Array(9);
    file.readSync(start);
    if (new TextDecoder().decode(start) === "#!/bin/sh") return ONION;
    const made = `${DIST}/onion-self-extracting`;
    await selfExtracting(made);
    return made;
  })();
}

/**
 * A temporary directory under `dist/`, because /tmp may be small or mounted noexec. It is gone at
 * the end of its block.
 */
export function scratchDirectory(): Disposable & { readonly path: string } {
  const path = Deno.makeTempDirSync({ dir: DIST, prefix: "test." });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/**
 * The first need that this machine does not meet, if any.
 *
 * @param needs names of tools, `root`, or `namespaces`: permission to create mount, network and
 * process namespaces
 */
function missing(...needs: string[]): string | undefined {
  return needs.find((need) => !has(need));
}

/**
 * The name of a test, and whether to ignore it because of a missing need, which then follows the
 * name.
 */
export function needing(name: string, ...needs: string[]): { name: string; ignore: boolean } {
  const lack = missing(...needs);
  return lack === undefined ? { name, ignore: false } : { name: `${name} (needs ${lack})`, ignore: true };
}

function has(need: string): boolean {
  if (need === "root") return Deno.uid() === 0;
  if (need === "namespaces") return namespaces();
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => exists(`${directory}/${need}`));
}

let may: boolean | undefined;

/** Root in a container may not be allowed to create namespaces. */
function namespaces(): boolean {
  return may ??= has("root") && has("unshare") &&
    new Deno.Command("unshare", { args: ["--mount", "--net", "--pid", "--fork", "true"], stderr: "null" })
      .outputSync().success;
}
