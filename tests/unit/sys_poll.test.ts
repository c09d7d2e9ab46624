import assert from "node:assert/strict";
import { monotonic } from "../../src/sys/clock.ts";
import { makeDoorbell, ringDoorbell } from "../../src/sys/doorbell.ts";
import { Poller } from "../../src/sys/poll.ts";

Deno.test("a look at what is there does not block, and says whether anything is", () => {
  using bell = makeDoorbell();
  using other = makeDoorbell();
  const poller = new Poller([bell.number, other.number]);
  for (const timeout of [0, -1, -Infinity]) assert.equal(poller.wait(timeout), false);
  ringDoorbell(other.number);
  assert.equal(poller.wait(0), true);
  assert.deepEqual([poller.isReadable(0), poller.isReadable(1)], [false, true]);
});

Deno.test("a wait ends when something comes, however long it might have taken", () => {
  using bell = makeDoorbell();
  const poller = new Poller([bell.number]);
  ringDoorbell(bell.number);
  for (const timeout of [0.5, 1e4, 1e300, Infinity]) assert.equal(poller.wait(timeout), true);
});

Deno.test("a wait lasts as long as it is to, to the fraction of a millisecond", () => {
  using bell = makeDoorbell();
  const poller = new Poller([bell.number]);
  for (const timeout of [0.3, 2.5, 1001.25]) {
    const begun = monotonic();
    assert.equal(poller.wait(timeout), false);
    assert.ok(monotonic() - begun >= timeout);
    assert.equal(poller.isReadable(0), false);
  }
});
