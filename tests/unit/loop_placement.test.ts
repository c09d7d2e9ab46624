import assert from "node:assert/strict";
import { Placement } from "../../src/loop/placement.ts";

/** Turns after which the load is looked at. */
const WINDOW = 64;

/** A placement, where it has put its thread so far, and turns of so many packets each. */
function makePlacement() {
  const moves: string[] = [];
  const placement = new Placement({
    gather: () => void moves.push("together"),
    spread: () => void moves.push("apart"),
  });
  return {
    moves,
    turns(packets: number, now: number, windows = 1): void {
      for (let turn = 0; turn < windows * WINDOW; turn++) placement.turned(packets, now);
    },
  };
}

Deno.test("threads begin together, and stay so while packets come one at a time", () => {
  const { moves, turns } = makePlacement();
  turns(1, 1000, 100);
  assert.deepEqual(moves, ["together"]);
});

Deno.test("many packets a turn part them, and few bring them together again, but not at once", () => {
  const { moves, turns } = makePlacement();
  turns(2, 1000);
  assert.deepEqual(moves, ["together", "apart"]);
  turns(1, 1099, 10);
  assert.deepEqual(moves, ["together", "apart"], "for a tenth of a second at least");
  turns(2, 1100, 10);
  assert.deepEqual(moves, ["together", "apart"], "two a turn are not one at a time");
  turns(1, 1100);
  assert.deepEqual(moves, ["together", "apart", "together"]);
});

Deno.test("who parts soon after coming together stays apart twice as long each time, up to ten seconds", () => {
  const { moves, turns } = makePlacement();
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

Deno.test("after a long rest together the first hold counts again", () => {
  const { moves, turns } = makePlacement();
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
