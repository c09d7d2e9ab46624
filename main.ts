/**
 * onion: arguments → command → exit code, under one root AbortController.
 *
 * Nothing is imported before it is known to be needed: a router is ready sooner without the command line's parser, and
 * the parser without the network. And nothing waits for its turn that takes long: a run's first router is started first.
 *
 * @module
 */
import type { Command } from "./src/cli/command.ts";
import { report, wantsStack } from "./src/cli/report.ts";
import { startsRun } from "./src/cli/words.ts";
import { ExitCode, OperatorError } from "./src/errors.ts";
import { unlessAborted } from "./src/sys/abort.ts";
import type { Routers } from "./src/run/routers.ts";

/** What a shell reports for a process that Ctrl+C ended: 128 + SIGINT. */
const INTERRUPTED = 130;

/** Milliseconds in which a second SIGINT is the same key: `timeout` and some shells send one to us and to our group. */
const SAME_KEY = 500;

/** Milliseconds that a run has to clean up behind an internal error. */
const LAST_GRACE = 5000;

/** Aborts when the run is to end, with the signal's name as the reason. */
const root = new AbortController();

/** A router listens to its proxy, not to the terminal, and its settings are no arguments. */
const isRouter = Deno.args[0] === "router";

let endedAt = -Infinity;

if (!isRouter) {
  // Asked first: with the first listener, Deno takes every signal that may end a program.
  const goesOn = ignoresHangUp();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      if (signal === "SIGHUP" && goesOn) return;
      if (root.signal.aborted && signal === "SIGINT" && performance.now() - endedAt > SAME_KEY) {
        Deno.exit(INTERRUPTED);
      }
      if (!root.signal.aborted) endedAt = performance.now();
      root.abort(signal);
    });
  }
}

/** What ends the program with {@linkcode ExitCode.failed}, although the command may end well. */
let crashed = false;
for (const kind of ["error", "unhandledrejection"] as const) {
  globalThis.addEventListener(kind, (event) => {
    event.preventDefault();
    const error = event instanceof ErrorEvent ? event.error : event.reason;
    if (isTheEnd(error)) return;
    tell(error);
    if (crashed || isRouter) Deno.exit(ExitCode.failed);
    crashed = true;
    // Let the run take its network down; if that hangs too, the next start does it.
    root.abort("an internal error");
    Deno.unrefTimer(setTimeout(() => Deno.exit(ExitCode.failed), LAST_GRACE));
  });
}

const exitCode = await main(Deno.args).catch(tell);
Deno.exit(crashed ? ExitCode.failed : exitCode);

async function main(argv: readonly string[]): Promise<ExitCode> {
  if (isRouter) {
    await closeInspector();
    const { runRouter } = await import("./src/run/router.ts");
    return await runRouter();
  }
  await using routers = startsRun(argv) ? await firstRouter() : undefined;
  // First, whatever the order in which a bundle holds what follows.
  await import("./src/cli/later_segmenter.ts");
  const { parseArguments } = await import("./src/cli/arguments.ts");
  // Only the reading of a command line is cut short like this, for it leaves nothing behind. A command ends by itself.
  return await perform(await unlessAborted(parseArguments(argv), root.signal), routers);
}

/** Starts before the command line is read, which takes 20 ms: where that is refused, the router goes again. */
async function firstRouter(): Promise<Routers | undefined> {
  const { Routers } = await import("./src/run/routers.ts");
  return await Routers.ahead();
}

async function perform(command: Command, routers: Routers | undefined): Promise<ExitCode> {
  switch (command.kind) {
    case "run": {
      await closeInspector();
      const { runStage } = await import("./src/run/run.ts");
      return await runStage(command.settings, root.signal, routers);
    }
    case "lab": {
      const { lab } = await import("./src/cli/lab.ts");
      return await lab(command.command, root.signal);
    }
    case "doctor": {
      const { doctor } = await import("./src/cli/doctor.ts");
      return await doctor(command.json);
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

/** For a process that stays up, perhaps as root: no signal may open the port that gives it away. */
async function closeInspector(): Promise<void> {
  const { ignoreInspectorSignal } = await import("./src/sys/signal.ts");
  ignoreInspectorSignal();
}

/** Says what went wrong, and what to exit with. */
function tell(error: unknown): ExitCode {
  if (isTheEnd(error)) return ExitCode.ok;
  const { line, exitCode } = report(error);
  console.error(line);
  // What the operator can mend is our own words; what led to it may be somebody else's.
  const origin = error instanceof OperatorError ? error.cause : error;
  if (origin !== undefined && wantsStack(Deno.args)) console.error(origin);
  return exitCode;
}

/** Whether we were started with SIGHUP ignored, as by nohup(1). */
function ignoresHangUp(): boolean {
  try {
    const [, mask = "0"] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
    return (BigInt(`0x${mask}`) & 1n) === 1n; // SIGHUP is 1, the lowest bit
  } catch {
    return false;
  }
}

/** Whether an "error" only says that the run was to end. */
function isTheEnd(error: unknown): boolean {
  return root.signal.aborted && error === root.signal.reason;
}
