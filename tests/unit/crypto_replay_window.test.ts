import assert from "node:assert/strict";
import fc from "fast-check";
import { REPLAY_WINDOW, ReplayWindow } from "../../src/crypto/replay_window.ts";

/** Accepts a counter if it is fresh. Returns whether it was. */
function take(window: ReplayWindow, counter: number): boolean {
  const isFresh = window.isFresh(counter);
  if (isFresh) window.accept(counter);
  return isFresh;
}

Deno.test("replay window: covers 8128 counters", () => assert.equal(REPLAY_WINDOW, 8128));

Deno.test("replay window: accepts and rejects counters at every edge of the window", () => {
  const W = REPLAY_WINDOW;
  const FAR = 2 ** 48;
  const steps: [number: number, counter: number, isFresh: boolean, why: string][] = [
    [1, 0, true, "the first of all"],
    [2, 0, false, "again"],
    [3, 1, true, "the next"],
    [4, 9, true, "some left out"],
    [5, 8, true, "which come late"],
    [6, 2, true, "even the first of them"],
    [7, 8, false, "but once"],
    [8, 31, true, "the last bit of a word"],
    [9, 32, true, "the first of the next word"],
    [10, 31, false, "its neighbour is remembered"],
    [11, W - 1, true, "the window is full"],
    [12, 0, false, "0 is its last one, and was seen"],
    [13, 3, true, "3 was not"],
    [14, W, true, "0 falls out"],
    [15, 0, false, "too old now"],
    [16, 4, true, "one that is still in"],
    [17, W + 4, true, "4 is the last one out"],
    [18, 5, true, "5 the last one in"],
    [19, 4, false, "4 is too old"],
    [20, 4 * W, true, "a jump further than the ring"],
    [21, 3 * W, false, "just too old"],
    [22, 3 * W + 1, true, "just in"],
    [23, 3 * W + 1, false, "but once"],
    [24, 4 * W - 1, true, "nothing is left over from before the jump"],
    [25, 4 * W + 8192, true, "a jump by exactly the ring: the same bit"],
    [26, 4 * W + 8192, false, "which is set"],
    [27, 4 * W, false, "and the old one is out"],
    [28, 4 * W + 8191, true, "while its neighbours are clear"],
    [29, 4 * W + 8192 + 31, true, "up to the end of a word"],
    [30, 4 * W + 8192 + 33, true, "past the first of the next"],
    [31, 4 * W + 8192 + 32, true, "which comes late"],
    [32, FAR, true, "far beyond 32 bits"],
    [33, FAR - 1, true, "one before"],
    [34, FAR - 1, false, "but once"],
    [35, FAR - W + 1, true, "the last one in"],
    [36, FAR - W, false, "the first one out"],
    [37, FAR + 1, true, "and on"],
    [38, Number.MAX_SAFE_INTEGER, true, "the last number that counts"],
    [39, Number.MAX_SAFE_INTEGER, false, "again"],
    [40, 0, false, "everything else is long gone"],
  ];
  const window = new ReplayWindow();
  for (const [number, counter, isFresh, why] of steps) {
    assert.equal(take(window, counter), isFresh, `step ${number}: ${counter}, ${why}`);
  }
});

Deno.test("replay window: accepts a whole window in any order, each counter once", () => {
  const forwards = Array.from({ length: REPLAY_WINDOW }, (_, counter) => counter);
  for (const order of [forwards, forwards.toReversed(), [...forwards.slice(1), 0]]) {
    const window = new ReplayWindow();
    for (const counter of order) assert.equal(take(window, counter), true, `${counter}`);
    for (const counter of order) assert.equal(take(window, counter), false, `${counter} again`);
  }
});

Deno.test("replay window: does not change when asked", () => {
  const window = new ReplayWindow();
  window.accept(5);
  for (let round = 0; round < 2; round++) {
    assert.equal(window.isFresh(REPLAY_WINDOW * 9), true);
    assert.equal(window.isFresh(4), true);
    assert.equal(window.isFresh(5), false);
  }
});

Deno.test("replay window: agrees with a set that forgets nothing", () => {
  const near = fc.integer({ min: -9000, max: 200 }).map((step) => (top: number) => top + step);
  const ahead = fc.integer({ min: 1, max: 20_000 }).map((step) => (top: number) => top + step);
  const edge = fc.constantFrom(
    0,
    -1,
    -31,
    -32,
    -33,
    1 - REPLAY_WINDOW,
    -REPLAY_WINDOW,
    -8192,
    31,
    32,
    33,
    8192,
  )
    .map((step) => (top: number) => top + step);
  const start = fc.constantFrom(0, 2 ** 32 - 100, 2 ** 45);
  fc.assert(fc.property(start, fc.array(fc.oneof(near, ahead, edge), { maxLength: 300 }), (first, steps) => {
    const window = new ReplayWindow();
    const seen = new Set<number>();
    let top = first;
    for (const step of [(top: number) => top, ...steps]) {
      const counter = Math.max(0, step(top));
      const want = !seen.has(counter) && (seen.size === 0 || counter > top - REPLAY_WINDOW);
      assert.equal(take(window, counter), want, `${counter} where the highest is ${top}`);
      if (want) seen.add(counter);
      top = Math.max(top, counter);
    }
  }));
});
