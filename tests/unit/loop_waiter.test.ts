import assert from "node:assert/strict";
import { Waiter } from "../../src/loop/waiter.ts";

/** Milliseconds that a look at the devices takes. */
const LOOK = 0.001;

/**
 * A waiter in a world whose time goes by only while it waits.
 *
 * @param sources how many it has
 * @param awake ms that it stays awake after a packet of the first one
 */
function makeWorld(sources: number, awake = 0) {
  const world = {
    now: 0,
    /** Milliseconds for which somebody else has the processor, when asked. */
    errand: 0,
    /** How long it was to sleep, each time; what is 0 is a look. */
    waits: [] as number[],
    /** When the next packet comes. */
    arrival: Infinity,
    get looks(): number {
      return world.waits.filter((ms) => ms === 0).length;
    },
    get sleeps(): number[] {
      return world.waits.filter((ms) => ms !== 0).map((ms) => Math.round(ms * 100) / 100);
    },
    /** Waits from now on, and says whether a packet came. */
    wait(until: number): boolean {
      world.waits = [];
      waiter.wait(world.now, until);
      return world.arrival <= world.now;
    },
    /** The packet is moved, by this source. */
    moved(source = 0): void {
      world.arrival = Infinity;
      waiter.moved(source, world.now);
    },
    /** A packet comes by this source at each of these times, while nothing is due. */
    hear(times: readonly number[], source = 0): void {
      for (const time of times) {
        world.arrival = time;
        while (!world.wait(Infinity));
        world.moved(source);
      }
    },
  };
  const poller = {
    wait(timeout: number): boolean {
      world.waits.push(timeout);
      const end = world.now + Math.max(timeout, 0) + (timeout <= 0 ? LOOK : 0);
      world.now = Math.max(world.now, Math.min(end, world.arrival));
      assert.ok(world.now < Infinity, "somebody sleeps for ever");
      return world.arrival <= world.now;
    },
  };
  const waiter = new Waiter(poller, sources, awake, () => world.now, () => void (world.now += world.errand));
  return world;
}

Deno.test("a waiter sleeps until something comes or is due", () => {
  const world = makeWorld(1);
  world.arrival = 30;
  assert.equal(world.wait(20), false);
  assert.deepEqual(world.waits, [20]);
  assert.equal(world.wait(Infinity), true);
  assert.deepEqual(world.waits, [Infinity]);
  assert.equal(world.now, 30);
});

Deno.test("after a packet of the first source it stays awake for a moment, where it is to, and then sleeps", () => {
  const world = makeWorld(2, 0.02);
  world.moved(1);
  world.wait(10);
  assert.equal(world.looks, 0, "the second source");
  world.moved(0);
  world.wait(20);
  assert.ok(world.looks >= 10, "the first source");
  assert.equal(world.sleeps.length, 1);
  world.wait(30);
  assert.equal(world.looks, 0, "once");
  const sleepy = makeWorld(2);
  sleepy.moved(0);
  sleepy.wait(10);
  assert.equal(sleepy.looks, 0, "a waiter that is not to");
});

Deno.test("what comes in that moment is heard at once", () => {
  const world = makeWorld(1, 0.02);
  world.moved(0);
  world.arrival = 0.01;
  assert.equal(world.wait(Infinity), true);
  assert.deepEqual(world.sleeps, []);
});

Deno.test("a waiter is awake when the next packet of a rhythm comes, and asleep until shortly before", () => {
  const world = makeWorld(1);
  world.hear([0, 20, 40]);
  world.arrival = 60;
  assert.equal(world.wait(Infinity), true);
  assert.deepEqual(world.sleeps, [19.8]);
  assert.ok(world.looks > 100);
  assert.equal(world.now, 60);
});

Deno.test("a packet of a rhythm that comes too early is heard, too", () => {
  const world = makeWorld(1);
  world.hear([0, 20, 40]);
  world.arrival = 50;
  assert.equal(world.wait(Infinity), true);
  assert.equal(world.now, 50);
});

Deno.test("where the next packet of a rhythm does not come, a waiter goes back to sleep, and the next ones find it there", () => {
  const world = makeWorld(1);
  world.hear([0, 20, 40]);
  assert.equal(world.wait(Infinity), false);
  assert.ok(world.now > 60 && world.now < 61);
  world.arrival = 80;
  assert.equal(world.wait(Infinity), true);
  assert.deepEqual(world.waits, [Infinity]);
});

Deno.test("what is due before the next packet of a rhythm is not put off", () => {
  const world = makeWorld(1);
  world.hear([0, 20, 40]);
  assert.equal(world.wait(50), false);
  assert.deepEqual(world.waits, [10]);
  world.arrival = 60;
  assert.equal(world.wait(Infinity), true);
  assert.deepEqual(world.sleeps, [9.8], "and the packet is still expected");
});

Deno.test("each source has a rhythm of its own", () => {
  const world = makeWorld(2);
  for (const start of [0, 20, 40]) {
    world.hear([start], 0);
    world.hear([start + 7], 1);
  }
  world.arrival = 60;
  assert.equal(world.wait(Infinity), true);
  world.moved(0);
  assert.ok(world.looks > 100);
  world.arrival = 67;
  assert.equal(world.wait(Infinity), true);
  assert.deepEqual(world.sleeps, [6.8]);
});

Deno.test("where a busy program has the processor each time, a waiter sleeps at once for a quarter of a second", () => {
  const world = makeWorld(1, 0.02);
  world.errand = 3;
  for (let time = 0; time < 3; time++) {
    world.moved(0);
    world.wait(world.now + 10);
    assert.ok(world.looks > 0);
  }
  const before = world.now;
  world.moved(0);
  world.wait(before + 10);
  assert.equal(world.looks, 0);
  world.now = before + 260;
  world.moved(0);
  world.wait(world.now + 10);
  assert.ok(world.looks > 0);
});

Deno.test("short errands of others are no reason to sleep", () => {
  const world = makeWorld(1, 0.02);
  world.errand = 0.9;
  for (let time = 0; time < 10; time++) {
    world.moved(0);
    world.wait(world.now + 10);
    assert.ok(world.looks > 0);
  }
});

Deno.test("what has come while somebody else had the processor is heard when it is given back", () => {
  const world = makeWorld(1, 0.02);
  world.moved(0);
  world.errand = 3;
  world.arrival = 2;
  assert.equal(world.wait(Infinity), true);
  assert.deepEqual(world.sleeps, []);
});
