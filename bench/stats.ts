/**
 * The statistics of the bench: order statistics, and ratios within a round.
 *
 * A machine drifts: another tenant wakes up, the clock frequency changes. Two contenders share the
 * conditions of one round, so their ratio is taken there, and the median of the ratios is reported.
 * A ratio of two medians would mix rounds.
 *
 * @module
 */

/** The direction in which a figure improves. */
export type Better = "lower" | "higher";

/** One figure over several rounds. */
export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  /** How many rounds had the figure, 1 or more. */
  readonly rounds: number;
}

/** A figure for each round; `undefined` without one. */
export type Rounds = readonly (number | undefined)[];

/** A change for the worse by more than this share is a regression. */
export const TOLERANCE = 0.2;

/**
 * The value below which `share` (0 to 1) of the values lie, interpolated between the two nearest.
 *
 * @throws RangeError without a value
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)];
  const high = sorted[Math.ceil(at)];
  if (low === undefined || high === undefined) throw new RangeError("A quantile needs at least one value");
  return low + (high - low) * (at - Math.floor(at));
}

/**
 * The mean of the middle half of the values; those at its edges count by the part inside. It
 * ignores outliers like the median, but it has no steps of a coarse clock (`ping` prints whole
 * microseconds), and does not jump between two heaps.
 *
 * @throws RangeError without a value
 */
export function midmean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("A midmean needs at least one value");
  const from = values.length / 4;
  const to = from * 3;
  let sum = 0;
  for (const [index, value] of values.toSorted((a, b) => a - b).entries()) {
    const inside = Math.min(index + 1, to) - Math.max(index, from);
    if (inside > 0) sum += inside * value;
  }
  return sum / (to - from);
}

/** Median and extremes of the rounds that had the figure; `undefined` without such a round. */
export function summarize(rounds: Rounds): Summary | undefined {
  const values = rounds.filter((value) => value !== undefined);
  if (values.length === 0) return undefined;
  return {
    median: quantile(values, 0.5),
    least: Math.min(...values),
    most: Math.max(...values),
    rounds: values.length,
  };
}

/** The ratio `mine / base` of each round that has both and a base other than 0. */
export function pairedRatios(mine: Rounds, base: Rounds): number[] {
  const ratios: number[] = [];
  for (const [round, value] of mine.entries()) {
    const divisor = base[round];
    if (value !== undefined && divisor !== undefined && divisor > 0) ratios.push(value / divisor);
  }
  return ratios;
}

/**
 * Whether a figure got worse by more than {@linkcode TOLERANCE}, given its ratio to its base in
 * each round. The median must say so, and three rounds in four must be worse at all. Rounds that
 * contradict each other are noise.
 */
export function isRegression(ratios: readonly number[], better: Better): boolean {
  if (ratios.length === 0) return false;
  const losses = ratios.map((ratio) => better === "lower" ? ratio - 1 : 1 - ratio);
  return quantile(losses, 0.5) > TOLERANCE && quantile(losses, 0.25) > 0;
}
