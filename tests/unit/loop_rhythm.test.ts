import assert from "node:assert/strict";
import { Rhythm } from "../../src/loop/rhythm.ts";

/** A rhythm that has heard packets at these times. */
function heard(...times: number[]): Rhythm {
  const rhythm = new Rhythm();
  for (const time of times) rhythm.heard(time);
  return rhythm;
}

/** The middle of the time in which a packet is expected, to a hundredth of a ms. */
function expected({ from, until }: Rhythm): number {
  return Math.round((from + until) * 50) / 100;
}

Deno.test("a packet is expected after two even intervals, from a little before its time until a little after it", () => {
  assert.equal(heard().from, Infinity);
  assert.equal(heard(0).from, Infinity);
  assert.equal(heard(0, 20).from, Infinity);
  const { from, until } = heard(0, 20, 40);
  assert.ok(from < 60 && 60 < until);
  assert.ok(until - from < 1);
});

Deno.test("a rhythm need not be quite even, and moves with its packets", () => {
  assert.equal(expected(heard(0, 20, 40.05)), 60.1);
  assert.equal(expected(heard(0, 20, 40.05, 60)), 79.95);
});

Deno.test("uneven intervals are no rhythm", () => {
  assert.equal(heard(0, 20, 41).from, Infinity);
  assert.equal(heard(0, 20, 40, 55).from, Infinity);
});

Deno.test("a rhythm is given up where packets come so often that to be awake would take too much, or too seldom to be exact", () => {
  assert.equal(heard(0, 3, 6, 9).from, Infinity);
  assert.equal(expected(heard(0, 4, 8)), 12);
  assert.equal(expected(heard(0, 100, 200)), 300);
  assert.equal(heard(0, 101, 202, 303).from, Infinity);
});

Deno.test("packets that follow one another at once are one beat, whatever their number", () => {
  assert.equal(expected(heard(0, 0.1, 0.2, 16, 16.1, 32, 32.1, 32.2, 32.3)), 48);
});

Deno.test("a flood has no rhythm, however even it is", () => {
  const rhythm = new Rhythm();
  for (let time = 0; time < 1000; time += 0.05) {
    rhythm.heard(time);
    assert.equal(rhythm.from, Infinity);
  }
});

Deno.test("a packet that has not come is not waited for again until ten others have", () => {
  const rhythm = heard(0, 5, 10);
  rhythm.missed();
  assert.equal(rhythm.from, Infinity);
  for (let beat = 1; beat < 10; beat++) {
    rhythm.heard(10 + 5 * beat);
    assert.equal(rhythm.from, Infinity);
  }
  rhythm.heard(60);
  assert.equal(expected(rhythm), 65);
});
