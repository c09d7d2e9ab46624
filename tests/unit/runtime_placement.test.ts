import assert from "node:assert/strict";
import { Placement } from "../../src/runtime/placement.ts";
import { PLACEMENT } from "../../src/runtime/scheduling.ts";

const WINDOW = PLACEMENT.window;

/** A placement, the moves of its thread so far, and functions that make turns. */
function makePlacement() {
  const moves: string[] = [];
  const placement = new Placement({
    free: () => void moves.push("free"),
    gather: () => void moves.push("together"),
    spread: () => void moves.push("apart"),
  });
  return {
    moves,
    turns(packets: number, now: number, windows = 1): void {
      for (let turn = 0; turn < windows * WINDOW; turn++) placement.turned(packets, now);
    },
    /** Makes `count` turns from time `from` on, `gap` ms apart. */
    paced(packets: number, gap: number, from: number, count: number): void {
      for (let turn = 0; turn < count; turn++) placement.turned(packets, from + turn * gap);
    },
  };
}

/** A placement whose thread is together with the others, at 1000 ms. */
function makeGathered() {
  const made = makePlacement();
  made.paced(1, 1, 1001 - 2 * WINDOW, 2 * WINDOW);
  assert.deepEqual(made.moves.splice(0), ["together"]);
  return made;
}

Deno.test("placement: starts free, and stays free while packets are rare", () => {
  const { moves, paced } = makePlacement();
  paced(1, 20, 0, 100);
  paced(1, 1000, 10_000, 10);
  assert.deepEqual(moves, []);
});

Deno.test("placement: comes together within 0.1 s of traffic, and is free again after it", () => {
  const { moves, paced } = makePlacement();
  paced(1, 20, 0, 100);
  paced(1, 5, 2000, 42);
  assert.deepEqual(moves, ["together"]);
  paced(1, 5, 2210, 100);
  assert.deepEqual(moves, ["together"]);
  paced(1, 20, 2710, 12);
  assert.deepEqual(moves, ["together", "free"]);
});

Deno.test("placement: ignores turns without packets", () => {
  const { moves, paced } = makePlacement();
  paced(0, 1, 0, 1000);
  assert.deepEqual(moves, []);
});

Deno.test("placement: stays together while packets come one at a time", () => {
  const { moves, paced } = makeGathered();
  paced(1, 1, 1001, 1000);
  assert.deepEqual(moves, []);
});

Deno.test("placement: goes from free to apart at once under load, and back after it", () => {
  const { moves, turns, paced } = makePlacement();
  turns(2, 50);
  assert.deepEqual(moves, ["apart"]);
  paced(1, 20, 60, 5);
  assert.deepEqual(moves, ["apart"], "for at least 0.1 s");
  paced(1, 20, 160, 12);
  assert.deepEqual(moves, ["apart", "free"]);
});

Deno.test("placement: goes apart under load, and together again after a hold", () => {
  const { moves, turns } = makeGathered();
  turns(2, 1000);
  assert.deepEqual(moves, ["apart"]);
  turns(1, 1099, 10);
  assert.deepEqual(moves, ["apart"], "for at least 0.1 s");
  turns(2, 1100, 10);
  assert.deepEqual(moves, ["apart"], "two packets a turn are not few");
  turns(1, 1100);
  assert.deepEqual(moves, ["apart", "together"]);
});

Deno.test("placement: doubles the hold when it goes apart again soon, up to 10 s", () => {
  const { moves, turns } = makeGathered();
  let now = 1000;
  turns(64, now);
  const holds: number[] = [];
  for (let time = 0; time < 10; time++) {
    const parted = now;
    while (moves.at(-1) === "apart") turns(1, ++now);
    holds.push(now - parted);
    turns(64, now);
    assert.equal(moves.at(-1), "apart");
  }
  assert.deepEqual(holds, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
});

Deno.test("placement: starts with the first hold again after a long time together", () => {
  const { moves, turns } = makeGathered();
  turns(64, 1000);
  turns(1, 1100);
  turns(64, 1101);
  turns(1, 1301);
  turns(64, 20_000);
  turns(1, 20_099);
  assert.equal(moves.at(-1), "apart");
  turns(1, 20_100);
  assert.equal(moves.at(-1), "together");
});
