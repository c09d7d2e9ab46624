/**
 * One contender, one round: start it, take every figure, end it.
 *
 * @module
 */
import type { Contender } from "./contender.ts";
import { load, type LoadResult } from "./load.ts";
import type { Figures } from "./measures.ts";
import { readMemory } from "./memory.ts";
import { ping, type PingResult } from "./ping.ts";
import type { Plan } from "./plan.ts";
import { midmean } from "./stats.ts";

/** What a measurement needs besides the contender. */
export interface Instruments {
  readonly plan: Plan;
  /** Path of the load generator. */
  readonly loadProgram: string;
  /** Told what a reader of the figures must know, e.g. that packets were lost. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A share of one core from which the load generator, not the contender, may be what limits the rate. */
const SATURATED = 0.95;

/**
 * Takes every figure of one contender.
 *
 * @throws Error if it dies, answers nothing, or answers wrongly: such a contender must not be ranked
 */
export async function measure(contender: Contender, instruments: Instruments): Promise<Figures> {
  await using running = await contender.start(instruments.signal);
  const signal = AbortSignal.any([instruments.signal, running.ended]);
  const inside = { ...instruments, signal };

  await awaitFirstReply(contender, signal);
  const idle = await memoryOf(contender);
  await onLoad(contender, inside, { size: 64, window: 1 }); // warm-up: code compiled, buffers grown
  const trips = await roundTrips(contender, inside);
  const small = await lossless(contender, inside, 64);
  const large = await lossless(contender, inside, 1400);
  const loaded = await memoryOf(contender);

  return present({
    ...trips,
    rate64: small?.packetsPerSecond,
    rate1400: large?.packetsPerSecond,
    cpu64: cpuPerMillion(contender, small),
    cpu1400: cpuPerMillion(contender, large),
    pssIdle: idle?.pss,
    pssLoaded: loaded?.pss,
    rssIdle: idle?.largestRss,
    rssLoaded: loaded?.largestRss,
    start: running.startMs,
  });
}

/** Starts a contender once, so that what happens only the first time (unpacking, page cache) is over. */
export async function warmUp(contender: Contender, signal: AbortSignal): Promise<void> {
  await using running = await contender.start(signal);
  await awaitFirstReply(contender, AbortSignal.any([signal, running.ended]));
}

/** Ready is what answers. A moment's grace, and after its first reply a contender has no excuse for a lost packet. */
async function awaitFirstReply(contender: Contender, signal: AbortSignal): Promise<void> {
  const { received } = await ping(contender, ["-c", "1", "-i", "0.05", "-w", "3"], signal);
  if (received === 0) {
    throw new Error(`${contender.name} says that it is ready, but ${contender.target} does not answer`);
  }
}

async function roundTrips(contender: Contender, instruments: Instruments): Promise<Partial<Figures>> {
  const { plan, signal } = instruments;
  const spaced = await ping(contender, ["-i", "0.005", "-c", String(plan.spacedPackets)], signal);
  checkPing(contender, spaced, "spaced ping", instruments);
  const flood = await ping(contender, ["-f", "-q", "-c", String(plan.floodPackets)], signal);
  checkPing(contender, flood, "ping -f", instruments);
  const { roundTripMicroseconds: trips } = await onLoad(contender, instruments, { size: 64, window: 1 });
  return present({
    spaced: midmean(spaced.roundTrips),
    flood: flood.mean,
    backToBack: trips?.midmean,
    tail: trips?.p99,
  });
}

/** The load at the largest window, halved from the plan's, at which no packet is lost. */
async function lossless(
  contender: Contender,
  instruments: Instruments,
  size: number,
): Promise<LoadResult | undefined> {
  for (let window = instruments.plan.window; window >= 1; window = Math.floor(window / 2)) {
    const result = await onLoad(contender, instruments, { size, window });
    if (result.lost > 0) {
      instruments.note(
        `${contender.name} lost packets of ${size} bytes with ${window} on the way; ` +
          "its rate was taken with fewer",
      );
      continue;
    }
    const busy = result.ownCpuSeconds / result.seconds;
    if (contender.shape !== "kernel" && busy > SATURATED) {
      instruments.note(
        `The load generator had a core to itself and used it up at ${size} bytes: ` +
          `${contender.name} may be capable of more`,
      );
    }
    return result;
  }
  instruments.note(`${contender.name} lost packets of ${size} bytes even one at a time`);
  return undefined;
}

async function onLoad(
  contender: Contender,
  { plan, loadProgram, signal }: Instruments,
  what: { readonly size: number; readonly window: number },
): Promise<LoadResult> {
  const { warmupSeconds, spanSeconds } = plan;
  const watch = await contender.netns.pids();
  const result = await load(loadProgram, contender, { ...what, warmupSeconds, spanSeconds, watch }, signal);
  if (result.counted === 0) throw new Error(`${contender.name} answers nothing under load`);
  if (result.duplicates + result.damaged > 0) {
    throw new Error(
      `${contender.name} answers wrongly: ${result.duplicates} duplicates and ${result.damaged} ` +
        `damaged replies among ${result.answered}`,
    );
  }
  return result;
}

function checkPing(contender: Contender, result: PingResult, what: string, { note }: Instruments): void {
  if (result.received === 0) throw new Error(`${contender.name} answers nothing to the ${what}`);
  if (result.duplicates > 0) throw new Error(`${contender.name} answers wrongly: duplicates in the ${what}`);
  const lost = result.sent - result.received;
  if (lost > 0) note(`${contender.name} lost packets of the ${what}`);
}

/** CPU seconds a million packets; `undefined` for the kernel, which answers on the load generator's time. */
function cpuPerMillion(contender: Contender, result: LoadResult | undefined): number | undefined {
  if (contender.shape === "kernel" || result === undefined) return undefined;
  return result.watchedCpuSeconds / result.counted * 1e6;
}

async function memoryOf(contender: Contender) {
  const pids = await contender.netns.pids();
  return pids.length === 0 ? undefined : await readMemory(pids);
}

/** The figures that are there. */
function present(figures: { readonly [Key in keyof Figures]: number | undefined }): Figures {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));
}
