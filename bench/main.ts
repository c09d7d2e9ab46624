/**
 * `deno task bench`: measures onion against its floor, side by side.
 *
 * One stack holds everything that the bench makes, and every wait has one signal. However the bench
 * ends, the stack removes what was made, last things first.
 *
 * @module
 */
import { resolve } from "node:path";
import { ConfigError, ExitCode, OperatorError } from "../src/errors.ts";
import { type BenchArguments, parseArguments, USAGE } from "./arguments.ts";
import { buildFloor, buildOnion, checkOut, findOnion, resolveRevision } from "./build.ts";
import { DUELS } from "./claims.ts";
import { run } from "./command.ts";
import { type Challenge, type Duel, measureDuel } from "./duels.ts";
import { type GrowthReport, measureGrowth, reportGrowth } from "./growth.ts";
import { checkHost } from "./host.ts";
import { describeMachine, readCpuTimes, stolenShare } from "./machine.ts";
import { renderMarkdown } from "./markdown.ts";
import { measure } from "./measure.ts";
import { sweepDeadRuns } from "./netns.ts";
import { findPeers, type FoundPeer } from "./peers.ts";
import { FULL, QUICK } from "./plan.ts";
import { makeReport, type Report } from "./report.ts";
import {
  type Executables,
  GROWING,
  makeContenders,
  NAMES,
  ONION_NEEDED,
  OURS,
  PEER_NAMES,
  type Purpose,
} from "./roster.ts";
import { type Conduct, type Measured, measureRounds } from "./rounds.ts";
import { renderText } from "./text.ts";
import type { Instruments } from "./traffic.ts";

/** The repository. */
const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Exit code of an interrupted bench: 128 and the number of SIGINT. */
const INTERRUPTED = 130;

/**
 * Milliseconds within which two Ctrl+C are one: the terminal sends it, and `deno task` passes it
 * on.
 */
const SAME_KEY = 500;

/** Progress goes to stderr, because stdout is for the report. */
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
    console.log(options.json ? JSON.stringify(report, null, 2) : renderText(report));
    if (options.markdown !== undefined) await writePage(resolve(options.markdown), report);
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

  const { peers, names } = await chooseContenders(options);
  const machine = await describeMachine(ROOT);
  const against = options.against === undefined ? undefined : await resolveRevision(ROOT, options.against);
  const executables = await prepare(options, names, against, stack, signal);

  const notes = new Set<string>();
  const plan = options.quick ? QUICK : FULL;
  const instruments: Instruments = {
    plan,
    loadProgram: executables.floor.load,
    ...(names.some((name) => PEER_NAMES.includes(name)) ? { streamProgram: executables.floor.stream } : {}),
    note: (text) => notes.add(text),
    signal,
  };
  const { rounds } = options;
  /** Makes contenders, measures them in turn, and removes them. */
  const conduct = async <Figures>(
    names: readonly string[],
    executables: Executables,
    purpose: Purpose,
    what: Pick<Conduct<Figures>, "measure" | "nothing">,
  ): Promise<Measured<Figures>[]> => {
    await using made = new AsyncDisposableStack();
    const contenders = await makeContenders(names, executables, purpose, made, signal);
    return await measureRounds(contenders, { ...what, rounds, progress: say }, instruments);
  };
  /** Lets two of this tree's contenders take turns. */
  const fight = async ({ contender, against, measures }: Challenge): Promise<Duel> => {
    await using made = new AsyncDisposableStack();
    const { before: _, ...now } = executables;
    const two = await makeContenders([contender, against], now, { wide: false }, made, signal);
    const byName = (name: string) => two.find((one) => one.name === name)!;
    const opponents = [byName(contender), byName(against)] as const;
    return await measureDuel(opponents, measures, { rounds, progress: say }, instruments);
  };

  const before = await readCpuTimes();
  const measured = await conduct(names, executables, { wide: false }, { measure, nothing: {} });
  const duels: Duel[] = [];
  for (const challenge of DUELS) {
    const { contender, against } = challenge;
    if (names.includes(contender) && names.includes(against)) duels.push(await fight(challenge));
  }
  let growth: GrowthReport[] | undefined;
  if (options.growth) {
    say("growth");
    const { before: _, ...now } = executables;
    const growing = names.filter((name) => GROWING.includes(name));
    growth = reportGrowth(
      await conduct(growing, now, { wide: true }, { measure: measureGrowth, nothing: {} }),
    );
  }
  const stolen = stolenShare(before, await readCpuTimes());

  return makeReport(
    measured.map(({ contender, rounds }) => ({ ...contender, rounds })),
    {
      machine,
      plan,
      rounds,
      quick: options.quick,
      ...(peers === undefined ? {} : { peers }),
      ...(against === undefined ? {} : { against }),
      stolen,
      notes: [...notes],
    },
    growth,
    duels,
  );
}

/** The contenders that take part, and the peers found with `--peers`. */
async function chooseContenders(
  { only, peers, against }: BenchArguments,
): Promise<{ names: readonly string[]; peers?: FoundPeer[] }> {
  const named = only ?? NAMES.filter((name) => !PEER_NAMES.includes(name));
  if (against !== undefined && !named.some((name) => OURS.includes(name))) {
    throw new ConfigError("--against compares onion with itself", `let ${OURS.join(" or ")} take part`);
  }
  if (!peers && !named.some((name) => PEER_NAMES.includes(name))) return { names: named };

  const { found, missing } = await findPeers();
  for (const { name, contenders, packages } of missing) {
    const remedy = `run \`apt-get install ${packages.join(" ")}\``;
    const wanted = contenders.find((contender) => named.includes(contender));
    if (wanted !== undefined) {
      throw new OperatorError(`--only ${wanted} needs ${name}`, remedy, ExitCode.hostLacks);
    }
    say(`peer not found: ${name}; ${remedy}`);
  }
  for (const { name, version } of found) say(`peer found: ${name} ${version}`);
  const further = peers ? found.flatMap(({ contenders }) => contenders) : [];
  return {
    names: [...new Set([...named, ...further])],
    peers: found.map(({ name, version }) => ({ name, version })),
  };
}

/** Builds what the contenders need. */
async function prepare(
  { build }: BenchArguments,
  names: readonly string[],
  against: string | undefined,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Executables> {
  say("building the floor");
  const floor = await buildFloor(ROOT, signal);
  if (!names.some((name) => ONION_NEEDED.includes(name))) return { floor };

  if (build) say("building onion");
  const onion = build ? await buildOnion(ROOT, signal) : await findOnion(ROOT);
  if (against === undefined) return { floor, onion };

  say(`building onion at ${against}`);
  const tree = await checkOut(ROOT, against, stack);
  return { floor, onion, before: { onion: await buildOnion(tree, signal), commit: against } };
}

/** Writes the report as a page, formatted as by `deno fmt`. */
async function writePage(path: string, report: Report): Promise<void> {
  await Deno.writeTextFile(path, renderMarkdown(report));
  const config = `${ROOT}/deno.json`;
  await run([Deno.execPath(), "fmt", "--quiet", "--config", config, "--ext", "md", path]);
}

Deno.exitCode = await main(Deno.args);
