/**
 * `deno task bench`: measures onion against its floor, side by side.
 *
 * Everything the bench makes hangs on one stack, and every wait on one signal: when the bench ends, well or not or
 * by Ctrl+C, the stack takes away what was made, last things first.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../src/errors.ts";
import { type BenchArguments, parseArguments, USAGE } from "./arguments.ts";
import { buildFloor, buildOnion, checkOut, findOnion, resolveRevision } from "./build.ts";
import { checkHost } from "./host.ts";
import { describeMachine, readCpuTimes, stolenShare } from "./machine.ts";
import { sweepDeadRuns } from "./netns.ts";
import { FULL, QUICK } from "./plan.ts";
import { makeReport, type Report } from "./report.ts";
import { type Executables, makeContenders, OURS } from "./roster.ts";
import { measureRounds } from "./rounds.ts";
import { renderTable } from "./table.ts";

/** The repository. */
const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Exit code of a bench that was interrupted: 128 and the number of SIGINT. */
const INTERRUPTED = 130;

/** One Ctrl+C comes twice, from the terminal and passed on by `deno task`; within so many ms it is one. */
const SAME_KEY = 500;

/** Progress goes to stderr: stdout is for the report. */
const say = (text: string) => console.error(text);

async function main(args: readonly string[]): Promise<number> {
  const asked = new AbortController();
  let askedAt = 0;
  const onSignal = () => {
    if (!asked.signal.aborted) {
      askedAt = performance.now();
      asked.abort(new DOMException("interrupted", "AbortError"));
    } else if (performance.now() - askedAt > SAME_KEY) {
      Deno.exit(INTERRUPTED); // asked twice; the next run sweeps up
    }
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(name, onSignal);
  try {
    const options = parseArguments(args);
    if (options.help) {
      console.log(USAGE);
      return ExitCode.ok;
    }
    const report = await bench(options, asked.signal);
    console.log(options.json ? JSON.stringify(report, null, 2) : renderTable(report));
    return report.regressions.length > 0 ? ExitCode.failed : ExitCode.ok;
  } catch (error) {
    if (asked.signal.aborted) {
      say("bench: interrupted");
      return INTERRUPTED;
    }
    if (error instanceof OperatorError) {
      say(`bench: ${error.message}; ${error.remedy}`);
      return error.exitCode;
    }
    say(`bench: ${error instanceof Error ? error.message : error}`);
    return ExitCode.failed;
  } finally {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.removeSignalListener(name, onSignal);
  }
}

async function bench(options: BenchArguments, signal: AbortSignal): Promise<Report> {
  await checkHost();
  await sweepDeadRuns();
  await using stack = new AsyncDisposableStack();

  const machine = await describeMachine(ROOT);
  const against = options.against === undefined ? undefined : await resolveRevision(ROOT, options.against);
  const executables = await prepare(options, against, stack, signal);
  const contenders = await makeContenders(options.only, executables, stack);

  const notes = new Set<string>();
  const plan = options.quick ? QUICK : FULL;
  const before = await readCpuTimes();
  const measured = await measureRounds(
    contenders,
    options.rounds,
    { plan, loadProgram: executables.floor.load, note: (text) => notes.add(text), signal },
    say,
  );
  const stolen = stolenShare(before, await readCpuTimes());

  return makeReport(measured.map(({ contender, rounds }) => ({ ...contender, rounds })), {
    machine,
    plan,
    rounds: options.rounds,
    quick: options.quick,
    ...(against === undefined ? {} : { against }),
    stolen,
    notes: [...notes],
  });
}

/** Builds what the contenders need. */
async function prepare(
  { only, build }: BenchArguments,
  against: string | undefined,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Executables> {
  say("building the floor");
  const floor = await buildFloor(ROOT, signal);
  if (!only.some((name) => OURS.includes(name))) return { floor };

  if (build) say("building onion");
  const onion = build ? await buildOnion(ROOT, signal) : await findOnion(ROOT);
  if (against === undefined) return { floor, onion };

  say(`building onion at ${against}`);
  const tree = await checkOut(ROOT, against, stack);
  return { floor, onion, before: { onion: await buildOnion(tree, signal), commit: against } };
}

Deno.exitCode = await main(Deno.args);
