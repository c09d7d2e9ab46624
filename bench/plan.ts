/**
 * How long everything takes: the lengths of the measurements of one round.
 *
 * @module
 */

/** Seconds between spaced pings. At intervals from 10 ms on, iputils' `ping` sleeps meanwhile. */
export const SPACED = 0.02;

/**
 * Seconds between packets, or messages, that are closer: `ping` stays awake, our load generator
 * sleeps.
 */
export const CLOSER = 0.005;

/** Lengths of the probes. */
export interface Lengths {
  /** Packets of the pings that are {@linkcode SPACED}, and of those {@linkcode CLOSER}. */
  readonly spacedPackets: number;
  readonly closerPackets: number;
  readonly floodPackets: number;
  /** Seconds of load before a measurement counts, while new code is compiled. */
  readonly warmupSeconds: number;
  /** Seconds that count. */
  readonly spanSeconds: number;
}

/** All lengths. */
export interface Plan {
  /** Seconds of load before anything is measured, while code is compiled and buffers grow. */
  readonly settleSeconds: number;
  /** The probes of a contender in a round. */
  readonly round: Lengths;
  /** Turns of each contender in a duel, and its probes in one. */
  readonly turns: number;
  readonly turn: Lengths;
  /** Seconds that count at each point of `--growth`, which has many. */
  readonly growthSpanSeconds: number;
  /** Packets in flight when the rate is taken; halved as long as one is lost. */
  readonly window: number;
}

/** For figures that may be quoted: 9 s a contender and round. */
export const FULL: Plan = {
  settleSeconds: 0.4,
  round: { spacedPackets: 80, closerPackets: 160, floodPackets: 6_000, warmupSeconds: 0.5, spanSeconds: 0.8 },
  turns: 20,
  turn: { spacedPackets: 10, closerPackets: 40, floodPackets: 500, warmupSeconds: 0.1, spanSeconds: 0.3 },
  growthSpanSeconds: 0.4,
  window: 64,
};

/** The shortest probes. */
const BRIEF: Lengths = {
  spacedPackets: 10,
  closerPackets: 50,
  floodPackets: 500,
  warmupSeconds: 0.05,
  spanSeconds: 0.05,
};

/** To check that everything works: about 1 s a contender and round. The figures prove nothing. */
export const QUICK: Plan = {
  settleSeconds: 0.05,
  round: BRIEF,
  turns: 2,
  turn: BRIEF,
  growthSpanSeconds: 0.05,
  window: 64,
};
