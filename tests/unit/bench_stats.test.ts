import assert from "node:assert/strict";
import fc from "fast-check";
import { isRegression, midmean, pairedRatios, quantile, summarize, TOLERANCE } from "../../bench/stats.ts";

Deno.test("quantile: interpolates between the two nearest values", () => {
  const cases: [values: number[], share: number, want: number][] = [
    [[7], 0.5, 7],
    [[1, 2], 0.5, 1.5],
    [[3, 1, 2], 0.5, 2],
    [[4, 1, 3, 2], 0.5, 2.5],
    [[10, 20, 30, 40, 50], 0, 10],
    [[10, 20, 30, 40, 50], 0.25, 20],
    [[10, 20, 30, 40, 50], 0.9, 46],
    [[10, 20, 30, 40, 50], 1, 50],
  ];
  for (const [values, share, want] of cases) {
    assert.ok(Math.abs(quantile(values, share) - want) < 1e-9, `${share} of ${values}`);
  }
});

Deno.test("quantile: throws without values", () => {
  assert.throws(() => quantile([], 0.5), new RangeError("A quantile needs at least one value"));
});

Deno.test("quantile: sorts numerically and leaves its argument unchanged", () => {
  const values = [10, 9, 100];
  assert.equal(quantile(values, 0.5), 10);
  assert.deepEqual(values, [10, 9, 100]);
});

Deno.test("midmean: averages the middle half, with edges in part", () => {
  const cases: [values: number[], want: number][] = [
    [[5], 5],
    [[1, 3], 2],
    [[1, 2, 3, 1000], 2.5],
    [[0, 1, 2, 3, 4, 5, 6, 7000], 3.5],
    // Of five values the middle 2.5 count: the third whole, its neighbours by three quarters.
    [[0, 10, 20, 60, 999], (0.75 * 10 + 20 + 0.75 * 60) / 2.5],
  ];
  for (const [values, want] of cases) assert.ok(Math.abs(midmean(values) - want) < 1e-9, `of ${values}`);
});

Deno.test("midmean: resolves fractions of a coarse clock's step", () => {
  // 24.3 µs, read as 24 seven times and as 25 three times.
  const values = [24, 24, 25, 24, 25, 24, 24, 25, 24, 24];
  assert.equal(quantile(values, 0.5), 24);
  assert.ok(midmean(values) > 24);
});

Deno.test("midmean: lies between the extremes and ignores an outlier", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 4 }), (values) => {
    const sorted = values.toSorted((a, b) => a - b);
    const largest = sorted.pop() as number;
    assert.ok(midmean(values) >= (sorted[0] as number) && midmean(values) <= largest);
    assert.ok(Math.abs(midmean([...sorted, largest]) - midmean([...sorted, largest + 1e6])) < 1e-6);
  }));
});

Deno.test("summarize: ignores rounds without a value", () => {
  assert.deepEqual(summarize([3, undefined, 1, 2]), { median: 2, least: 1, most: 3, rounds: 3 });
  assert.equal(summarize([undefined]), undefined);
  assert.equal(summarize([]), undefined);
});

Deno.test("pairedRatios: cancels out a slow round", () => {
  assert.deepEqual(pairedRatios([10, 40, 12], [5, 20, 6]), [2, 2, 2]);
});

Deno.test("pairedRatios: skips rounds without both values or with a base of 0", () => {
  assert.deepEqual(pairedRatios([10, undefined, 12, 14], [5, 6, undefined, 0]), [2]);
  assert.deepEqual(pairedRatios([1, 2], [1]), [1]);
});

Deno.test("isRegression: needs a fifth in the worse direction", () => {
  assert.equal(TOLERANCE, 0.2);
  const cases: [ratios: number[], better: "lower" | "higher", want: boolean][] = [
    [[1.19], "lower", false],
    [[1.21], "lower", true],
    [[0.5], "lower", false],
    [[0.81], "higher", false],
    [[0.79], "higher", true],
    [[2], "higher", false],
    [[1.1, 1.3, 1.3, 1.3, 1.1], "lower", true],
    [[0.9, 1.3, 1.3, 1.3, 1.1], "lower", true],
    // Two rounds in five say that it got better: the rounds contradict each other.
    [[0.9, 1.3, 1.3, 1.3, 0.8], "lower", false],
    [[], "lower", false],
  ];
  for (const [ratios, better, want] of cases) {
    assert.equal(isRegression(ratios, better), want, `${ratios}; ${better} is better`);
  }
});
