/**
 * How long everything takes: the lengths of the measurements of one round.
 *
 * @module
 */

/** Seconds between pings that are far apart: at intervals of 10 ms and more iputils' `ping` sleeps meanwhile. */
export const SPACED = 0.02;

/** Seconds between packets, or messages, that are less far apart: `ping` stays awake, our load generator sleeps. */
export const CLOSER = 0.005;

/** The lengths of one round's measurements. */
export interface Plan {
  /** Packets of the pings that are {@linkcode SPACED}, and of those {@linkcode CLOSER}. */
  readonly spacedPackets: number;
  readonly closerPackets: number;
  readonly floodPackets: number;
  /** Seconds of load before anything is measured: code is compiled, buffers have grown. */
  readonly settleSeconds: number;
  /** Seconds of load before the clock of a measurement counts: what is new to the code has been compiled by then. */
  readonly warmupSeconds: number;
  /** Seconds that count. */
  readonly spanSeconds: number;
  /** The same for each point of `--growth`, of which there are many. */
  readonly growthSpanSeconds: number;
  /** Turns that each of two takes in a duel, and their seconds: before the clock counts, and those that count. */
  readonly duelTurns: number;
  readonly duelWarmupSeconds: number;
  readonly duelSpanSeconds: number;
  /** Packets on the way at once when the packet rate is taken; halved for as long as one is lost. */
  readonly window: number;
}

/** What figures may be quoted from: 9 s a contender and round. */
export const FULL: Plan = {
  spacedPackets: 80,
  closerPackets: 160,
  floodPackets: 6_000,
  settleSeconds: 0.4,
  warmupSeconds: 0.5,
  spanSeconds: 0.8,
  growthSpanSeconds: 0.4,
  duelTurns: 20,
  duelWarmupSeconds: 0.1,
  duelSpanSeconds: 0.3,
  window: 64,
};

/** Whether everything works: about 1 s a contender and round. Its figures prove nothing. */
export const QUICK: Plan = {
  spacedPackets: 10,
  closerPackets: 50,
  floodPackets: 500,
  settleSeconds: 0.05,
  warmupSeconds: 0.05,
  spanSeconds: 0.05,
  growthSpanSeconds: 0.05,
  duelTurns: 2,
  duelWarmupSeconds: 0.05,
  duelSpanSeconds: 0.05,
  window: 64,
};
