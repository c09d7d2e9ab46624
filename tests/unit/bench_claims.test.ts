import assert from "node:assert/strict";
import { CLAIMS, decideClaims, DUELS } from "../../bench/claims.ts";
import { NAMES } from "../../bench/roster.ts";

Deno.test("claims: name existing contenders", () => {
  for (const { contender, against } of CLAIMS) {
    assert.ok(NAMES.includes(contender), contender);
    assert.ok(against === undefined || NAMES.includes(against), against);
  }
});

Deno.test("decideClaims: judges the median of ratios within rounds", () => {
  const results = decideClaims([
    { name: "tun_pair", rounds: [{ flood: 10 }, { flood: 20 }, { flood: 10 }] },
    {
      name: "stage2",
      rounds: [{ flood: 12, start: 310 }, { flood: 24, start: 290 }, { flood: 30, start: 280 }],
    },
  ]);
  assert.deepEqual(
    results.map(({ title, median, most, holds }) => ({ title, median, most, holds })),
    [
      { title: "stage 2: round trip, flood", median: 1.2, most: 3, holds: true },
      { title: "stage 2: start to ready, ms", median: 290, most: 310, holds: true },
    ],
  );
});

Deno.test("decideClaims: rejects a log that costs more than a tenth, by turns", () => {
  const decide = (...ratios: number[]) =>
    decideClaims([], [
      { contender: "stage2", against: "stage2_nolog", rounds: ratios.map((rate64) => ({ rate64 })) },
    ]).map(({ holds }) => holds);
  assert.deepEqual(decide(0.5, 0.9, 0.99), [true]);
  assert.deepEqual(decide(0.5, 0.89, 0.99), [false]);
});

Deno.test("decideClaims: ignores rounds for claims by turns", () => {
  const rounds = [{ rate64: 100 }];
  assert.deepEqual(decideClaims([{ name: "stage2", rounds }, { name: "stage2_nolog", rounds }]), []);
});

Deno.test("claims: list each pair that takes turns once", () => {
  assert.deepEqual(DUELS, [
    { contender: "stage2", against: "tun_pair", measures: ["spaced", "closer", "random"] },
    { contender: "stage2", against: "stage2_nolog", measures: ["rate64", "rate1400"] },
  ]);
});

Deno.test("decideClaims: leaves reported claims open, and omits claims without a floor", () => {
  const [claim, ...others] = decideClaims([
    { name: "stage3", rounds: [{ spaced: 60 }] },
    { name: "lab_route", rounds: [{ spaced: 20 }] },
  ]);
  assert.deepEqual(others, []);
  assert.equal(claim?.median, 3);
  assert.equal(claim?.holds, undefined);
});
