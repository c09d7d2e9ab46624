/**
 * Probes: what is sent through a contender, and the figures that follow. A new probe is an entry of
 * the table.
 *
 * @module
 */
import type { LoadResult } from "./load.ts";
import { type Figures, type MeasureKey, present } from "./measures.ts";
import { CLOSER, type Lengths, SPACED } from "./plan.ts";
import { midmean } from "./stats.ts";
import { hasPrograms, type Instruments, lossless, onLoad, onPing, type Subject } from "./traffic.ts";

/** One probe. */
interface Probe {
  /** The figures that it may yield. */
  readonly yields: readonly MeasureKey[];
  /** Takes the figures; those without a meaning for this contender are absent. */
  readonly take: (subject: Subject, instruments: Instruments, lengths: Lengths) => Promise<Figures>;
}

/** Payload bytes of the two sizes that all are measured with. */
export const SMALL = 64;
export const LARGE = 1400;

/** Every probe, in the order of a round. */
export const PROBES: readonly Probe[] = [
  pings("spaced", SPACED, ({ spacedPackets }) => spacedPackets),
  pings("closer", CLOSER, ({ closerPackets }) => closerPackets),
  {
    yields: ["random"],
    async take(subject, instruments, { warmupSeconds: warmup, closerPackets }) {
      const apart = { window: 1, pause: CLOSER * 1000, span: closerPackets * CLOSER };
      const result = await onLoad(subject, instruments, { ...apart, warmup, size: SMALL, flows: 1 });
      return present({ random: result.roundTripMicroseconds?.midmean });
    },
  },
  {
    yields: ["flood"],
    async take(subject, instruments, { floodPackets }) {
      const { mean } = await onPing(subject, instruments, ["-f", "-q", "-c", String(floodPackets)]);
      return present({ flood: mean });
    },
  },
  {
    yields: ["backToBack", "tail"],
    async take(subject, instruments, { warmupSeconds: warmup, spanSeconds: span }) {
      const traffic = { warmup, span, size: SMALL, flows: 1, window: 1 };
      const { roundTripMicroseconds: trips } = await onLoad(subject, instruments, traffic);
      return present({ backToBack: trips?.midmean, tail: trips?.p99 });
    },
  },
  rate(
    SMALL,
    ["rate64", "cpu64"],
    ({ packetsPerSecond, counted }, cpu) =>
      present({ rate64: packetsPerSecond, cpu64: cpu && cpu / counted * 1e6 }),
  ),
  rate(
    LARGE,
    ["rate1400", "cpu1400"],
    ({ packetsPerSecond, counted }, cpu) =>
      present({ rate1400: packetsPerSecond, cpu1400: cpu && cpu / (counted * LARGE) * 1e9 }),
  ),
];

/** The midmean of the round trips that `ping` prints. */
function pings(key: MeasureKey, interval: number, count: (lengths: Lengths) => number): Probe {
  return {
    yields: [key],
    async take(subject, instruments, lengths) {
      const args = ["-i", String(interval), "-c", String(count(lengths))];
      const { roundTrips } = await onPing(subject, instruments, args);
      return present({ [key]: midmean(roundTrips) });
    },
  };
}

/**
 * The rate without loss, and its CPU cost.
 *
 * @param figures gets the contender's CPU seconds; returns none if it has none
 */
function rate(
  size: number,
  yields: readonly MeasureKey[],
  figures: (result: LoadResult, cpu: number | undefined) => Figures,
): Probe {
  return {
    yields,
    async take(subject, instruments, { warmupSeconds: warmup, spanSeconds: span }) {
      const result = await lossless(subject, instruments, { warmup, span, flows: 1, size });
      if (result === undefined) return {};
      return figures(result, await hasPrograms(subject) ? result.watchedCpuSeconds : undefined);
    },
  };
}
