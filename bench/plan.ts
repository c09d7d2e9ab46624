/**
 * How long everything takes: the lengths of the measurements of one round.
 *
 * @module
 */

/** The lengths of one round's measurements. */
export interface Plan {
  /** Packets of the spaced ping, 5 ms apart. */
  readonly spacedPackets: number;
  readonly floodPackets: number;
  /** Seconds of load before the clock counts: code is compiled, buffers have grown. */
  readonly warmupSeconds: number;
  /** Seconds that count. */
  readonly spanSeconds: number;
  /** Packets on the way at once when the packet rate is taken; halved for as long as one is lost. */
  readonly window: number;
}

/** What figures may be quoted from: about 13 s a contender and round. */
export const FULL: Plan = {
  spacedPackets: 400,
  floodPackets: 20_000,
  warmupSeconds: 0.5,
  spanSeconds: 2,
  window: 64,
};

/** Whether everything works: about 2 s a contender and round. Its figures prove nothing. */
export const QUICK: Plan = {
  spacedPackets: 50,
  floodPackets: 500,
  warmupSeconds: 0.1,
  spanSeconds: 0.1,
  window: 64,
};
