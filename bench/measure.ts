/**
 * One contender, one round: start it, take every figure, end it.
 *
 * @module
 */
import type { Contender, PacketTarget, Running } from "./contender.ts";
import { load, type LoadOptions, type LoadResult } from "./load.ts";
import { measureStreams } from "./measure_streams.ts";
import { type Figures, present } from "./measures.ts";
import { readMemory } from "./memory.ts";
import { ping, type PingResult } from "./ping.ts";
import { packetsSent } from "./net_dev.ts";
import { CLOSER, type Plan, SPACED } from "./plan.ts";
import { midmean } from "./stats.ts";

/** What a measurement needs besides the contender. */
export interface Instruments {
  readonly plan: Plan;
  /** Path of the load generator. */
  readonly loadProgram: string;
  /** Path of the stream client and server; absent where streams are not measured. */
  readonly streamProgram?: string;
  /** Told what a reader of the figures must know, e.g. that packets were lost. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A contender that runs, and where packets for it go. */
export interface Subject {
  readonly contender: Contender;
  readonly running: Running;
  readonly way: PacketTarget;
}

/** Packets that are put on a contender's way. */
export interface Traffic {
  /** The lengths of the run, in seconds. */
  readonly warmup: number;
  readonly span: number;
  /** Payload bytes. */
  readonly size: number;
  /** Addresses in a row that they go to, in turn. */
  readonly flows: number;
}

/** A share of one core from which the load generator, not the contender, may be what limits the rate. */
const SATURATED = 0.95;

/** Payload bytes in the two sizes that everybody is measured with. */
const SMALL = 64;
const LARGE = 1400;

/**
 * Takes every figure of one contender.
 *
 * @throws Error if it dies, answers nothing, or answers wrongly: such a contender must not be ranked
 */
export async function measure(contender: Contender, instruments: Instruments): Promise<Figures> {
  await using running = await contender.start(instruments.signal);
  const inside = { ...instruments, signal: AbortSignal.any([instruments.signal, running.ended]) };
  const { packets, streams } = contender.targets;

  if (packets !== undefined) await awaitFirstReply(contender, packets, inside.signal);
  const idle = await memoryOf(running);
  const ofPackets = packets === undefined
    ? {}
    : await measurePackets({ contender, running, way: packets }, inside);
  const ofStreams = streams === undefined ? {} : await measureStreams(contender, running, streams, inside);
  const loaded = await memoryOf(running);

  return present({
    ...ofPackets,
    ...ofStreams,
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
  const { packets } = contender.targets;
  if (packets !== undefined) {
    await awaitFirstReply(contender, packets, AbortSignal.any([signal, running.ended]));
  }
}

/** Ready is what answers. A moment's grace, and after its first reply a contender has no excuse for a lost packet. */
export async function awaitFirstReply(
  { name, place }: Contender,
  way: PacketTarget,
  signal: AbortSignal,
): Promise<void> {
  const { received } = await ping(place, way, ["-c", "1", "-i", "0.05", "-w", "3"], signal);
  if (received === 0) throw new Error(`${name} says that it is ready, but ${way.address} does not answer`);
}

async function measurePackets(subject: Subject, instruments: Instruments): Promise<Figures> {
  const { settleSeconds, warmupSeconds: warmup, spanSeconds: span } = instruments.plan;
  const traffic = { warmup, span, flows: 1 };
  await onLoad(subject, instruments, { ...traffic, warmup: 0, span: settleSeconds, size: SMALL, window: 1 });
  const figures = [await roundTrips(subject, instruments, { ...traffic, size: SMALL })];
  for (const rate of RATES) figures.push(await takeRate(rate, subject, instruments, { warmup, span }));
  return Object.assign({}, ...figures);
}

/** A size that the packet rate is taken with, and the figures that follow. */
export interface Rate {
  /** Payload bytes. */
  readonly size: number;
  /** @param cpu seconds of the contender's own; absent where it has none */
  readonly figures: (result: LoadResult, cpu: number | undefined) => Figures;
}

/** Every size that all are measured with. */
export const RATES: readonly Rate[] = [
  {
    size: SMALL,
    figures: ({ packetsPerSecond, counted }, cpu) =>
      present({ rate64: packetsPerSecond, cpu64: cpu && cpu / counted * 1e6 }),
  },
  {
    size: LARGE,
    figures: ({ packetsPerSecond, counted }, cpu) =>
      present({ rate1400: packetsPerSecond, cpu1400: cpu && cpu / (counted * LARGE) * 1e9 }),
  },
];

/** Takes the rate without loss, and the CPU that it costs. */
export async function takeRate(
  { size, figures }: Rate,
  subject: Subject,
  instruments: Instruments,
  time: Pick<Traffic, "warmup" | "span">,
): Promise<Figures> {
  const result = await lossless(subject, instruments, { ...time, flows: 1, size });
  if (result === undefined) return {};
  return figures(result, await hasPrograms(subject) ? result.watchedCpuSeconds : undefined);
}

/** Whether it has a CPU time of its own: the kernel answers on the load generator's. */
async function hasPrograms({ running }: Subject): Promise<boolean> {
  return (await running.pids()).length > 0;
}

async function roundTrips(subject: Subject, instruments: Instruments, traffic: Traffic): Promise<Figures> {
  const { plan } = instruments;
  const { spacedPackets, closerPackets } = plan;
  const pings = (interval: number, count: number) =>
    onPing(subject, instruments, ["-i", String(interval), "-c", String(count)]);
  const spaced = await pings(SPACED, spacedPackets);
  const closer = await pings(CLOSER, closerPackets);
  const apart = { ...traffic, span: closerPackets * CLOSER, window: 1, pause: CLOSER * 1000 };
  const { roundTripMicroseconds: random } = await onLoad(subject, instruments, apart);
  const flood = await onPing(subject, instruments, ["-f", "-q", "-c", String(plan.floodPackets)]);
  const { roundTripMicroseconds: trips } = await onLoad(subject, instruments, { ...traffic, window: 1 });
  return present({
    spaced: midmean(spaced.roundTrips),
    closer: midmean(closer.roundTrips),
    random: random?.midmean,
    flood: flood.mean,
    backToBack: trips?.midmean,
    tail: trips?.p99,
  });
}

/** The load at the largest window, halved from `window`, at which no packet is lost. */
export async function lossless(
  subject: Subject,
  instruments: Instruments,
  traffic: Traffic & { readonly window?: number },
): Promise<LoadResult | undefined> {
  const { name } = subject.contender;
  const { size, flows } = traffic;
  const what = `packets of ${size} bytes${flows > 1 ? ` to ${flows} hosts` : ""}`;
  const first = traffic.window ?? instruments.plan.window;
  for (let window = first; window >= 1; window = Math.floor(window / 2)) {
    const result = await onLoad(subject, instruments, { ...traffic, window });
    if (result.lost > 0) {
      instruments.note(`${name} lost ${what} with ${window} on the way; its rate was taken with fewer`);
      continue;
    }
    const busy = result.ownCpuSeconds / result.seconds;
    if (busy > SATURATED && await hasPrograms(subject)) {
      instruments.note(
        `The load generator had a core to itself and used it up with ${what}: ${name} may be capable of more`,
      );
    }
    return result;
  }
  instruments.note(`${name} lost ${what} even one at a time`);
  return undefined;
}

/**
 * Runs the load generator.
 *
 * @throws Error if nothing comes back, or not what was sent
 */
export async function onLoad(
  { contender: { name, place }, running, way }: Subject,
  { loadProgram, signal }: Instruments,
  { warmup, span, size, flows, window, pause = 0 }: Traffic & Pick<LoadOptions, "window" | "pause">,
): Promise<LoadResult> {
  const watch = await running.pids();
  // One host is the contender's own; several are out of the crowd.
  const target = flows === 1 ? way.address : way.crowd;
  if (target === undefined) throw new TypeError(`${name} leads to no crowd`);
  const options = { target, flows, size, window, pause, warmupSeconds: warmup, spanSeconds: span, watch };
  const before = await packetsSent(place, way.device, signal);
  const result = await load(loadProgram, place, options, signal);
  const passed = await packetsSent(place, way.device, signal) - before;
  if (result.counted === 0) throw new Error(`${name} answers nothing under load`);
  if (passed < result.answered) {
    throw new Error(`${name} was not what answered: packets went past ${way.device}`);
  }
  if (result.duplicates + result.damaged > 0) {
    throw new Error(
      `${name} answers wrongly: ${result.duplicates} duplicates and ${result.damaged} ` +
        `damaged replies among ${result.answered}`,
    );
  }
  return result;
}

/**
 * Runs `ping`.
 *
 * @throws Error as {@linkcode onLoad} does
 */
async function onPing(
  { contender: { name, place }, way }: Subject,
  { note, signal }: Instruments,
  args: readonly string[],
): Promise<PingResult> {
  const what = `ping ${args.join(" ")}`;
  const before = await packetsSent(place, way.device, signal);
  const result = await ping(place, way, args, signal);
  const passed = await packetsSent(place, way.device, signal) - before;
  if (result.received === 0) throw new Error(`${name} answers nothing to ${what}`);
  if (passed < result.received) {
    throw new Error(`${name} was not what answered: packets went past ${way.device}`);
  }
  if (result.duplicates > 0) throw new Error(`${name} answers wrongly: duplicates with ${what}`);
  if (result.sent > result.received) note(`${name} lost packets of ${what}`);
  return result;
}

async function memoryOf(running: Running) {
  const pids = await running.pids();
  return pids.length === 0 ? undefined : await readMemory(pids);
}
