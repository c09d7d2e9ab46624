/**
 * The figures of TCP streams, the only ones that compare Tor with others, and those of UDP.
 *
 * @module
 */
import type { Contender, Running, StreamTarget } from "./contender.ts";
import { type Figures, present } from "./measures.ts";
import { serveStreams, stream, type StreamOptions, type StreamResult } from "./stream.ts";
import { CLOSER } from "./plan.ts";
import type { Instruments } from "./traffic.ts";

/** Takes the figures of streams; none if they are not wanted. */
export async function measureStreams(
  { place }: Contender,
  running: Running,
  target: StreamTarget,
  { plan, streamProgram, signal }: Instruments,
): Promise<Figures> {
  if (streamProgram === undefined) return {};
  const watch = await running.pids();
  await using _server = await serveStreams(streamProgram, target, signal);
  const { warmupSeconds, spanSeconds } = plan.round;
  const run = (what: StreamOptions["what"]) =>
    stream(streamProgram, place, target, { what, warmupSeconds, spanSeconds, watch }, signal);

  const spaced = await run({ messagesEvery: CLOSER });
  const backToBack = await run({ messagesEvery: 0 });
  const bulk = await run("bulk");
  // A contender behind SOCKS carries TCP only.
  const datagrams = target.socks === undefined ? await run("datagrams") : undefined;
  return present({
    streamSpaced: spaced.roundTripMicroseconds?.midmean,
    streamBackToBack: backToBack.roundTripMicroseconds?.midmean,
    streamRate: rateOf(bulk),
    streamCpu: watch.length > 0 ? cpuOf(bulk) : undefined,
    datagramRate: datagrams && rateOf(datagrams),
    datagramCpu: datagrams && watch.length > 0 ? cpuOf(datagrams) : undefined,
  });
}

/** Megabits a second. */
function rateOf({ bytes, seconds }: StreamResult): number {
  return bytes * 8 / seconds / 1e6;
}

/** CPU seconds for a gigabyte. */
function cpuOf({ bytes, watchedCpuSeconds }: StreamResult): number | undefined {
  return bytes > 0 ? watchedCpuSeconds / bytes * 1e9 : undefined;
}
