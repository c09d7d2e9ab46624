/**
 * One contender, one round: start it, take every figure, end it.
 *
 * @module
 */
import type { Contender, Running } from "./contender.ts";
import { measureStreams } from "./measure_streams.ts";
import { type Figures, present } from "./measures.ts";
import { readMemory } from "./memory.ts";
import { PROBES, SMALL } from "./probes.ts";
import { awaitFirstReply, type Instruments, onLoad, type Subject } from "./traffic.ts";

/**
 * Takes every figure of one contender.
 *
 * @throws Error if it dies, answers nothing, or answers wrongly, because it must not be ranked then
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

/**
 * Starts a contender once, to get over what happens only the first time (unpacking, page cache).
 */
export async function warmUp(contender: Contender, signal: AbortSignal): Promise<void> {
  await using running = await contender.start(signal);
  const { packets } = contender.targets;
  if (packets !== undefined) {
    await awaitFirstReply(contender, packets, AbortSignal.any([signal, running.ended]));
  }
}

async function measurePackets(subject: Subject, instruments: Instruments): Promise<Figures> {
  const { settleSeconds: span, round } = instruments.plan;
  await onLoad(subject, instruments, { warmup: 0, span, size: SMALL, flows: 1, window: 1 });
  const figures: Figures[] = [];
  for (const probe of PROBES) figures.push(await probe.take(subject, instruments, round));
  return Object.assign({}, ...figures);
}

async function memoryOf(running: Running) {
  const pids = await running.pids();
  return pids.length === 0 ? undefined : await readMemory(pids);
}
