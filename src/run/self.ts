/**
 * This program: its version and its kind of executable. Only this file knows how the three kinds
 * differ, namely in how to start another process and in where a Worker's module is.
 *
 * @module
 */
import type { CommandLine } from "./launch/child.ts";
import project from "../../deno.json" with { type: "json" };

/** The version of onion, from deno.json. */
export const VERSION: string = project.version;

/**
 * How this program was built:
 *
 * - `deno compile`: one ELF file with runtime and modules.
 * - `self-extracting`: a shell script with a payload, which is unpacked into a cache once.
 * - `source`: not at all; run by `deno run main.ts`.
 */
export type ExecutableKind = "deno compile" | "self-extracting" | "source";

/**
 * Options for V8:
 *
 * - Optimise a function after 1000 calls instead of 3000, and 200 calls after new type feedback
 *   instead of 500. Each packet calls the same few functions, and at one ping a second 3000 calls
 *   take an hour. Lower numbers make six processes compile at once, and leave no processor for the
 *   first packets.
 * - Collect type feedback from a function's first call. Otherwise code that only first packets run,
 *   or only packets after a pause, is unknown to the optimised code, which then deoptimises.
 * - Start with 8 MB for young objects, so that no collection happens before a run is ready.
 *
 * See docs/adr/0012-the-path-of-one-packet.md and docs/adr/0014-ready-soon.md.
 */
export const V8_FLAGS: string = "--v8-flags=" + [
  "--invocation-count-for-turbofan=1000",
  "--minimum-invocations-after-ic-update=200",
  "--no-lazy-feedback-allocation",
  "--min-semi-space-size=8",
].join();

/**
 * How Deno runs the self-extracting kind's bundle. `scripts/build.ts` puts it into the shell script
 * too.
 */
export const RUN_BUNDLE: readonly string[] = [
  "run",
  "--allow-all",
  "--unstable-net",
  // No progress bar: it would clear lines of the terminal.
  "--quiet",
  // The bundle holds all code. A project around its directory is not ours.
  "--no-config",
  "--no-lock",
  "--no-remote",
  "--no-npm",
  V8_FLAGS,
];

const SOURCE = new URL("../../", import.meta.url);

/** The kind of executable that this process runs from. */
export function executableKind(): ExecutableKind {
  if (Deno.build.standalone) return "deno compile";
  // Only the bundler turns modules into JavaScript.
  return import.meta.url.endsWith(".ts") ? "source" : "self-extracting";
}

/**
 * How to start another process of this program, without a shell in between.
 *
 * Uses the runtime of this process, not the file that the user called, which may have been
 * replaced.
 *
 * @param args the arguments of the new process, e.g. `["router"]`
 */
export function selfCommand(args: readonly string[]): CommandLine {
  const command = Deno.execPath();
  switch (executableKind()) {
    case "deno compile":
      return { command, args: [...args] };
    case "self-extracting":
      return { command, args: [...RUN_BUNDLE, Deno.mainModule, ...args] };
    case "source": {
      const config = decodeURIComponent(new URL("deno.json", SOURCE).pathname);
      const main = new URL("main.ts", SOURCE).href;
      return { command, args: ["run", "--config", config, "--allow-all", V8_FLAGS, main, ...args] };
    }
  }
}

/**
 * The URL of a Worker's module. The bundler and `deno compile` see only imports, so
 * `scripts/build.ts` names such modules to both.
 *
 * @param path the module's path in this project, e.g. `src/runtime/packet_thread.ts`
 */
export function moduleUrl(path: string): URL {
  // The bundler may move this file into a chunk, so only the main module's URL is reliable.
  return executableKind() === "self-extracting"
    ? new URL(path.replace(/\.ts$/, ".js"), Deno.mainModule)
    : new URL(path, SOURCE);
}
