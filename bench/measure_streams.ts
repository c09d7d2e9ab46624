/**
 * The figures of TCP streams: what Tor carries can be compared with others in nothing else.
 *
 * @module
 */
import type { Contender, Running, StreamTarget } from "./contender.ts";
import type { Instruments } from "./measure.ts";
import { type Figures, present } from "./measures.ts";
import { serveStreams, stream, type StreamOptions } from "./stream.ts";

/** Seconds between spaced messages, as between the packets of the spaced ping. */
const SPACED = 0.005;

/** Takes the figures of streams; none where they are not asked for. */
export async function measureStreams(
  { place }: Contender,
  running: Running,
  target: StreamTarget,
  { plan, streamProgram, signal }: Instruments,
): Promise<Figures> {
  if (streamProgram === undefined) return {};
  const watch = await running.pids();
  await using _server = await serveStreams(streamProgram, target, signal);
  const { warmupSeconds, spanSeconds } = plan;
  const run = (what: StreamOptions["what"]) =>
    stream(streamProgram, place, target, { what, warmupSeconds, spanSeconds, watch }, signal);

  const spaced = await run({ messagesEvery: SPACED });
  const backToBack = await run({ messagesEvery: 0 });
  const bulk = await run("bulk");
  return present({
    streamSpaced: spaced.roundTripMicroseconds?.midmean,
    streamBackToBack: backToBack.roundTripMicroseconds?.midmean,
    streamRate: bulk.bytes * 8 / bulk.seconds / 1e6,
    streamCpu: watch.length > 0 && bulk.bytes > 0 ? bulk.watchedCpuSeconds / bulk.bytes * 1e9 : undefined,
  });
}
