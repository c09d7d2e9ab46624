/**
 * What is measured: one row for each figure.
 *
 * @module
 */
import type { Better } from "./stats.ts";

/** One figure of a round. */
export interface Measure {
  readonly key: string;
  /** Its heading in the table, unit last. */
  readonly title: string;
  readonly better: Better;
  /** Decimals worth printing. */
  readonly digits: number;
  /**
   * Whether `--against` judges it. The tail is only shown, because it belongs to the rest of the
   * machine.
   */
  readonly judged: boolean;
}

/** Every measure, in the order of the table. */
export const MEASURES = [
  /** Spaced packets, between which `ping` sleeps. Midmean of the printed round trips. */
  { key: "spaced", title: "round trip, ping -i 0.02, µs", better: "lower", digits: 1, judged: true },
  /** Closer packets: below 10 ms `ping` does not sleep but holds a processor, by chance ours. */
  { key: "closer", title: "round trip, ping -i 0.005, µs", better: "lower", digits: 1, judged: true },
  /**
   * As close on average, at random moments, from our load generator, which sleeps meanwhile.
   * Midmean.
   */
  { key: "random", title: "round trip, at random moments, µs", better: "lower", digits: 1, judged: true },
  /** `ping`'s own mean, printed in whole microseconds. */
  { key: "flood", title: "round trip, ping -f, mean µs", better: "lower", digits: 0, judged: true },
  /** The same closed loop from our load generator, to the nanosecond. Midmean. */
  { key: "backToBack", title: "round trip, back to back, µs", better: "lower", digits: 1, judged: true },
  { key: "tail", title: "round trip, back to back, p99 µs", better: "lower", digits: 1, judged: false },
  { key: "rate64", title: "without loss, 64 bytes, packets/s", better: "higher", digits: 0, judged: true },
  {
    key: "rate1400",
    title: "without loss, 1400 bytes, packets/s",
    better: "higher",
    digits: 0,
    judged: true,
  },
  /**
   * All processes and threads of the contender, at the rate of the row above with the same size.
   */
  { key: "cpu64", title: "CPU, 64 bytes, s per million packets", better: "lower", digits: 2, judged: true },
  /** A gigabyte of payload there, and back. */
  { key: "cpu1400", title: "CPU, 1400 bytes, s per gigabyte", better: "lower", digits: 2, judged: true },
  /** Proportional set size: shared pages count once, so it may be added up. */
  {
    key: "pssIdle",
    title: "memory idle, PSS of all processes, MB",
    better: "lower",
    digits: 1,
    judged: true,
  },
  { key: "pssLoaded", title: "memory after load, PSS of all, MB", better: "lower", digits: 1, judged: true },
  { key: "rssIdle", title: "memory idle, RSS of the largest, MB", better: "lower", digits: 1, judged: true },
  {
    key: "rssLoaded",
    title: "memory after load, RSS of the largest, MB",
    better: "lower",
    digits: 1,
    judged: true,
  },
  /** Includes some ms for the way into the namespaces, the same for every contender. */
  { key: "start", title: "start to ready, ms", better: "lower", digits: 0, judged: true },
  /** Streams, with peers only: 64 bytes there and back over one open TCP connection. */
  {
    key: "streamSpaced",
    title: "TCP stream, round trip of a message, every 5 ms, µs",
    better: "lower",
    digits: 1,
    judged: false,
  },
  {
    key: "streamBackToBack",
    title: "TCP stream, round trip of a message, back to back, µs",
    better: "lower",
    digits: 1,
    judged: false,
  },
  { key: "streamRate", title: "TCP stream, one way, Mbit/s", better: "higher", digits: 0, judged: false },
  { key: "streamCpu", title: "TCP stream, CPU, s per gigabyte", better: "lower", digits: 2, judged: false },
  /** Datagrams of 1400 bytes, sent faster than they arrive. */
  { key: "datagramRate", title: "UDP, what arrives, Mbit/s", better: "higher", digits: 0, judged: false },
  {
    key: "datagramCpu",
    title: "UDP, CPU, s per gigabyte that arrives",
    better: "lower",
    digits: 2,
    judged: false,
  },
] as const satisfies readonly Measure[];

/** A name in {@linkcode MEASURES}. */
export type MeasureKey = (typeof MEASURES)[number]["key"];

/** The figures of one contender in one round; those without a meaning for it are absent. */
export type Figures = Partial<Record<MeasureKey, number>>;

/** The figures that are present. */
export function present(figures: { readonly [Key in keyof Figures]: number | undefined }): Figures {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));
}
