import assert from "node:assert/strict";
import { makeDoorbell, ringDoorbell } from "../../src/sys/doorbell.ts";
import { Poller } from "../../src/sys/poll.ts";

const VIGIL = { after: 0.02, absence: 1 };

/** A clock that goes on by so many ms each time it is asked. */
function ticking(step: number): () => number {
  let now = 0;
  return () => now += step;
}

Deno.test("who stays awake hears what comes, and blocks when the moment is over", () => {
  using bell = makeDoorbell();
  const poller = new Poller([bell.number]);
  assert.equal(poller.waitAwake(0, VIGIL, ticking(0.001)), true);
  assert.equal(poller.isReadable(0), false);
  ringDoorbell(bell.number);
  assert.equal(poller.waitAwake(Infinity, VIGIL, ticking(0.001)), true);
  assert.equal(poller.isReadable(0), true);
});

Deno.test("who has given the processor away for longer than a millisecond is told so, and what has come meanwhile is there", () => {
  using bell = makeDoorbell();
  const poller = new Poller([bell.number]);
  assert.equal(poller.waitAwake(0, VIGIL, ticking(0.9)), true, "a short errand");
  assert.equal(poller.waitAwake(0, VIGIL, ticking(3)), false, "a time slice");
  assert.equal(poller.isReadable(0), false);
  let asked = 0;
  const clock = () => {
    // Somebody else has the processor, and rings.
    if (++asked === 2) ringDoorbell(bell.number);
    return 3 * asked;
  };
  assert.equal(poller.waitAwake(Infinity, VIGIL, clock), false);
  assert.equal(poller.isReadable(0), true);
});
