import assert from "node:assert/strict";
import { makeDoorbell, ringDoorbell } from "../../src/sys/doorbell.ts";
import { Poller } from "../../src/sys/poll.ts";

const VIGIL = { after: 0.02, absence: 1 };

/** A clock that advances by `step` ms at each reading. */
function ticking(step: number): () => number {
  let now = 0;
  return () => now += step;
}

Deno.test("poller: polls for a moment, then blocks", () => {
  using bell = makeDoorbell();
  const poller = new Poller([bell.number]);
  assert.equal(poller.waitAwake(0, VIGIL, ticking(0.001)), true);
  assert.equal(poller.isReadable(0), false);
  ringDoorbell(bell.number);
  assert.equal(poller.waitAwake(Infinity, VIGIL, ticking(0.001)), true);
  assert.equal(poller.isReadable(0), true);
});

Deno.test("poller: reports a long absence from the processor, and what became readable meanwhile", () => {
  using bell = makeDoorbell();
  const poller = new Poller([bell.number]);
  assert.equal(poller.waitAwake(0, VIGIL, ticking(0.9)), true, "a short errand");
  assert.equal(poller.waitAwake(0, VIGIL, ticking(3)), false, "a time slice");
  assert.equal(poller.isReadable(0), false);
  let asked = 0;
  const clock = () => {
    // Another program has the processor, and rings.
    if (++asked === 2) ringDoorbell(bell.number);
    return 3 * asked;
  };
  assert.equal(poller.waitAwake(Infinity, VIGIL, clock), false);
  assert.equal(poller.isReadable(0), true);
});
