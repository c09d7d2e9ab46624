/**
 * Self: which program this is. The same source runs in three kinds of executable, and only this file knows their
 * differences: how to start another process of the same program, and where a Worker's module lies.
 *
 * @module
 */
import type { CommandLine } from "./launch/child.ts";
import project from "../../deno.json" with { type: "json" };

/** The version of onion; deno.json is the one place that holds it. */
export const VERSION: string = project.version;

/**
 * How this program was made:
 *
 * - `deno compile`: one ELF file, runtime and modules in it;
 * - `self-extracting`: a shell head and a payload, unpacked once into a cache and run from there;
 * - `source`: `deno run main.ts`.
 */
export type ExecutableKind = "deno compile" | "self-extracting" | "source";

/**
 * What V8 is told: to compile a function well after 1000 calls instead of 3000, and 200 calls after it has learnt something
 * new instead of 500. With every packet the same few functions are called, and at a ping a second 3000 calls take an hour.
 * Not sooner: six processes that compile at once have no processor left for the first packets.
 *
 * And to write down from a function's first call on what it does, not only once it is called often: what only the first packets
 * do, or only those after a pause, would be news to the compiled code, which then falls back.
 *
 * And to begin with 8 MB for young objects, so that none are collected before a run is ready.
 *
 * See docs/adr/0012-the-path-of-one-packet.md and docs/adr/0014-ready-soon.md.
 */
export const V8_FLAGS: string = "--v8-flags=" + [
  "--invocation-count-for-turbofan=1000",
  "--minimum-invocations-after-ic-update=200",
  "--no-lazy-feedback-allocation",
  "--min-semi-space-size=8",
].join();

/** How Deno runs the bundle of the self-extracting kind. `scripts/build.ts` writes it into the shell head too. */
export const RUN_BUNDLE: readonly string[] = [
  "run",
  "--allow-all",
  "--unstable-net",
  // Deno's progress bar would clear lines of a terminal on which nothing progresses.
  "--quiet",
  // All code is in the bundle, and no project that it may happen to lie in is its own.
  "--no-config",
  "--no-lock",
  "--no-remote",
  "--no-npm",
  V8_FLAGS,
];

const SOURCE = new URL("../../", import.meta.url);

/** Which kind of executable this process runs from. */
export function executableKind(): ExecutableKind {
  if (Deno.build.standalone) return "deno compile";
  // The bundler turns every module into JavaScript; nothing else does.
  return import.meta.url.endsWith(".ts") ? "source" : "self-extracting";
}

/**
 * How to start another process of this same program, without a shell in between.
 *
 * The runtime that this process runs on is used, not the file the user called: that one may have been replaced since.
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
 * Where a module that is started, not imported, lies: a Worker's. Neither the bundler nor `deno compile` can see it
 * from here, so `scripts/build.ts` names it to both.
 *
 * @param path the module's path in this project, e.g. `src/runtime/packet_thread.ts`
 */
export function moduleUrl(path: string): URL {
  // The bundler may move this very file into a chunk, so there only the main module says where the others are.
  return executableKind() === "self-extracting"
    ? new URL(path.replace(/\.ts$/, ".js"), Deno.mainModule)
    : new URL(path, SOURCE);
}
