/**
 * onion: arguments → command → exit code.
 *
 * A module is imported only once it is needed: a router is ready sooner without the command line's
 * parser, and the parser without the network.
 *
 * @module
 */
import type { Command } from "./src/cli/arguments.ts";
import { closeInspector, Ending } from "./src/cli/ending.ts";
import { startsRun } from "./src/cli/words.ts";
import { ExitCode } from "./src/errors.ts";
import { unlessAborted } from "./src/sys/abort.ts";
import type { Routers } from "./src/run/routers.ts";

const isRouter = Deno.args[0] === "router";
const ending = new Ending({ isRouter });
Deno.exit(await ending.exitCodeOf(isRouter ? router() : main(Deno.args, ending.signal)));

/** Started by the proxy: the settings come over the control channel, not as arguments. */
async function router(): Promise<ExitCode> {
  await closeInspector();
  const { runRouter } = await import("./src/run/router.ts");
  return await runRouter();
}

async function main(argv: readonly string[], signal: AbortSignal): Promise<ExitCode> {
  // The slowest part of a start, so it comes before parsing. If parsing fails, the router is ended.
  await using routers = startsRun(argv) ? await firstRouter() : undefined;
  const { parseArguments } = await import("./src/cli/arguments.ts");
  // An abort may cut parsing short, because parsing leaves nothing behind. A command ends by
  // itself.
  const command = await unlessAborted(parseArguments(argv), signal);
  return await perform(command, signal, routers);
}

async function firstRouter(): Promise<Routers | undefined> {
  const { Routers } = await import("./src/run/routers.ts");
  return await Routers.ahead();
}

async function perform(
  command: Command,
  signal: AbortSignal,
  routers: Routers | undefined,
): Promise<ExitCode> {
  switch (command.kind) {
    case "run": {
      await closeInspector();
      const { runStage } = await import("./src/run/run.ts");
      return await runStage(command.settings, signal, routers);
    }
    case "lab": {
      const { lab } = await import("./src/cli/lab.ts");
      return await lab(command.command, signal);
    }
    case "doctor": {
      const { doctor } = await import("./src/cli/doctor.ts");
      return await doctor(command);
    }
    case "down": {
      const { down } = await import("./src/cli/down.ts");
      return await down();
    }
    case "print":
      console.log(command.text);
      return ExitCode.ok;
    case "usage":
      console.error(command.text);
      return ExitCode.usage;
  }
}
