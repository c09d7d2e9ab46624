/**
 * How long everything takes: the lengths of the measurements of one round.
 *
 * @module
 */

/** Seconds between pings that are far apart: at intervals of 10 ms and more iputils' `ping` sleeps meanwhile. */
export const SPACED = 0.02;

/** Seconds between packets, or messages, that are less far apart: `ping` stays awake, our load generator sleeps. */
export const CLOSER = 0.005;

/** How long the probes are. */
export interface Lengths {
  /** Packets of the pings that are {@linkcode SPACED}, and of those {@linkcode CLOSER}. */
  readonly spacedPackets: number;
  readonly closerPackets: number;
  readonly floodPackets: number;
  /** Seconds of load before the clock of a measurement counts: what is new to the code has been compiled by then. */
  readonly warmupSeconds: number;
  /** Seconds that count. */
  readonly spanSeconds: number;
}

/** The lengths of everything. */
export interface Plan {
  /** Seconds of load before anything is measured: code is compiled, buffers have grown. */
  readonly settleSeconds: number;
  /** A contender's probes in its round. */
  readonly round: Lengths;
  /** Turns that each of two takes in a duel, and its probes in one. */
  readonly turns: number;
  readonly turn: Lengths;
  /** Seconds that count at each point of `--growth`, of which there are many. */
  readonly growthSpanSeconds: number;
  /** Packets on the way at once when the packet rate is taken; halved for as long as one is lost. */
  readonly window: number;
}

/** What figures may be quoted from: 9 s a contender and round. */
export const FULL: Plan = {
  settleSeconds: 0.4,
  round: { spacedPackets: 80, closerPackets: 160, floodPackets: 6_000, warmupSeconds: 0.5, spanSeconds: 0.8 },
  turns: 20,
  turn: { spacedPackets: 10, closerPackets: 40, floodPackets: 500, warmupSeconds: 0.1, spanSeconds: 0.3 },
  growthSpanSeconds: 0.4,
  window: 64,
};

/** As short as a probe can be. */
const BRIEF: Lengths = {
  spacedPackets: 10,
  closerPackets: 50,
  floodPackets: 500,
  warmupSeconds: 0.05,
  spanSeconds: 0.05,
};

/** Whether everything works: about 1 s a contender and round. Its figures prove nothing. */
export const QUICK: Plan = {
  settleSeconds: 0.05,
  round: BRIEF,
  turns: 2,
  turn: BRIEF,
  growthSpanSeconds: 0.05,
  window: 64,
};
