/**
 * What is measured: one row a figure.
 *
 * @module
 */
import type { Better } from "./stats.ts";

/** One figure that a round yields. */
export interface Measure {
  readonly key: string;
  /** As the table shows it, unit last. */
  readonly title: string;
  readonly better: Better;
  /** Decimals worth printing. */
  readonly digits: number;
  /** Whether `--against` judges it. The tail is shown only: it belongs to whatever else the machine does. */
  readonly judged: boolean;
}

/** Every measure, in the table's order. */
export const MEASURES = [
  /** Packets far apart, between which `ping` sleeps. Midmean of what it printed. */
  { key: "spaced", title: "round trip, ping -i 0.02, µs", better: "lower", digits: 1, judged: true },
  /** Less far apart: below 10 ms `ping` does not sleep, but holds a processor, and chance has it whether that is ours. */
  { key: "closer", title: "round trip, ping -i 0.005, µs", better: "lower", digits: 1, judged: true },
  /** As close on average, but by our load generator, and nobody can know when. It sleeps meanwhile. Midmean. */
  { key: "random", title: "round trip, at random moments, µs", better: "lower", digits: 1, judged: true },
  /** `ping`'s own mean, which it prints in whole microseconds. */
  { key: "flood", title: "round trip, ping -f, mean µs", better: "lower", digits: 0, judged: true },
  /** The same closed loop by our load generator, to the nanosecond. Midmean. */
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
  /** All processes and threads of the contender, at the rate of the row above with the same size. */
  { key: "cpu64", title: "CPU, 64 bytes, s per million packets", better: "lower", digits: 2, judged: true },
  /** A gigabyte of payload there, and back. */
  { key: "cpu1400", title: "CPU, 1400 bytes, s per gigabyte", better: "lower", digits: 2, judged: true },
  /** Proportional set size: what is shared counts once, so it may be added up. */
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
  /** What leads into the namespaces included, some ms, for every contender alike. */
  { key: "start", title: "start to ready, ms", better: "lower", digits: 0, judged: true },
  /** Streams, where peers take part. 64 bytes there and back over one open TCP connection. */
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
  /** Datagrams of 1400 bytes, as fast as they can be sent: more than arrive. */
  { key: "datagramRate", title: "UDP, what arrives, Mbit/s", better: "higher", digits: 0, judged: false },
  {
    key: "datagramCpu",
    title: "UDP, CPU, s per gigabyte that arrives",
    better: "lower",
    digits: 2,
    judged: false,
  },
] as const satisfies readonly Measure[];

/** Names one of {@linkcode MEASURES}. */
export type MeasureKey = (typeof MEASURES)[number]["key"];

/** What one round said about one contender; a figure that has no meaning for it is absent. */
export type Figures = Partial<Record<MeasureKey, number>>;

/** The figures that are there. */
export function present(figures: { readonly [Key in keyof Figures]: number | undefined }): Figures {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));
}
