import assert from "node:assert/strict";
import type { Node } from "../../src/runtime/node.ts";
import { runUntilDoorbell } from "../../src/runtime/loop.ts";
import type { Source } from "../../src/runtime/source.ts";
import { SysError } from "../../src/errors.ts";
import { monotonic } from "../../src/sys/clock.ts";
import { answerDoorbell, makeDoorbell, ringDoorbell } from "../../src/sys/doorbell.ts";
import { EventRing, ringBytes } from "../../src/trace/event_ring.ts";
import { drainEvents } from "../support/events.ts";

/** A loop over doorbells: one ends it, the others play devices. */
function makeLoop(devices: number) {
  const stack = new DisposableStack();
  const end = stack.use(makeDoorbell()).number;
  const fds = Array.from({ length: devices }, () => stack.use(makeDoorbell()).number);
  const memory = new SharedArrayBuffer(ringBytes(8));
  const ring = new EventRing(memory);
  return {
    end,
    fds,
    ring,
    memory,
    run(node: Partial<Node>): void {
      const whole: Node = {
        sources: [],
        deadline: () => Infinity,
        expire: () => {},
        replaceNeighbour: () => {},
        ...node,
      };
      runUntilDoorbell({ node: whole, ring }, end);
    },
    [Symbol.dispose]: () => stack.dispose(),
  };
}

Deno.test("packet loop: ends when the doorbell rings, and leaves it ringing", () => {
  using loop = makeLoop(0);
  ringDoorbell(loop.end);
  loop.run({});
  assert.equal(answerDoorbell(loop.end), true);
  assert.equal(answerDoorbell(loop.end), false);
});

/** A source that is readable while `fd` rings, and calls `move` in its turn. */
function source(fd: number, move: Source["move"]): Source {
  return { fd, move, bringsAnswers: false };
}

/** A source like that which brings answers. */
function answering(fd: number, move: Source["move"]): Source {
  return { fd, move, bringsAnswers: true };
}

Deno.test("packet loop: asks only readable sources, until they are empty", () => {
  using loop = makeLoop(2);
  const [quiet, busy] = loop.fds as [number, number];
  const asked: string[] = [];
  for (let rings = 0; rings < 3; rings++) ringDoorbell(busy);
  loop.run({
    sources: [
      source(quiet, () => asked.push("quiet")),
      source(busy, () => {
        asked.push("busy");
        answerDoorbell(busy);
        if (asked.length === 3) ringDoorbell(loop.end);
        return 1;
      }),
    ],
  });
  assert.deepEqual(asked, ["busy", "busy", "busy"]);
  assert.equal(answerDoorbell(quiet), false);
});

Deno.test("packet loop: meets a deadline without a packet", () => {
  using loop = makeLoop(1);
  const due = monotonic() + 5;
  let expired = 0;
  loop.run({
    deadline: () => expired > 0 ? Infinity : due,
    expire(now) {
      assert.ok(now >= due);
      expired++;
      ringDoorbell(loop.end);
    },
  });
  assert.equal(expired, 1);
});

Deno.test("packet loop: wakes the log a little after an event, or when it ends", async () => {
  // A pending Atomics.waitAsync does not keep Deno alive.
  const alive = setInterval(() => {}, 2 ** 30);
  using loop = makeLoop(1);
  const [device] = loop.fds as [number];
  const woken = loop.ring.untilWoken();
  ringDoorbell(device);
  loop.run({
    sources: [source(device, () => {
      answerDoorbell(device);
      loop.ring.hop(1, 2, 0);
      ringDoorbell(loop.end);
      return 1;
    })],
  });
  await woken;
  let events = 0;
  drainEvents(loop.ring, () => events++);
  assert.equal(events, 1);
  clearInterval(alive);
});

/** A source that reports another event in each turn, and calls `before` first. */
function chatter(ring: EventRing, device: number, before: (time: number) => void): Source {
  let time = 0;
  return source(device, () => {
    answerDoorbell(device);
    before(time);
    ring.relaySealed(time++, 2, 0, 0);
    return 1;
  });
}

Deno.test("packet loop: wakes the log early when the ring fills", () => {
  using loop = makeLoop(1);
  const [device] = loop.fds as [number];
  const hasNews: boolean[] = [];
  for (let rings = 0; rings < 6; rings++) ringDoorbell(device);
  loop.run({
    sources: [chatter(loop.ring, device, (time) => {
      hasNews.push(loop.ring.hasNews);
      if (time === 5) ringDoorbell(loop.end);
    })],
  });
  // Two of eight records are a quarter.
  assert.deepEqual(hasNews, [false, true, false, true, false, true]);
});

Deno.test("packet loop: pauses before it wakes the log again", () => {
  using loop = makeLoop(1);
  const [device] = loop.fds as [number];
  const wakes: number[] = [];
  const wake = loop.ring.wake.bind(loop.ring);
  loop.ring.wake = () => {
    wake();
    wakes.push(monotonic());
    if (wakes.length === 1) ringDoorbell(device);
  };
  ringDoorbell(device);
  loop.run({
    sources: [chatter(loop.ring, device, () => {})],
    deadline: () => wakes.length === 2 ? 0 : Infinity,
    expire: () => ringDoorbell(loop.end),
  });
  const pause = wakes[1]! - wakes[0]!;
  assert.ok(pause >= 95, `${pause} ms`);
});

Deno.test("packet loop: publishes events before it fails", () => {
  using loop = makeLoop(1);
  const [device] = loop.fds as [number];
  ringDoorbell(device);
  assert.throws(() =>
    loop.run({
      sources: [source(device, () => {
        loop.ring.hop(1, 2, 0);
        throw new SysError("Cannot read from the TUN device", "read", "EBADFD");
      })],
    }), SysError);
  let events = 0;
  drainEvents(new EventRing(loop.memory), () => events++);
  assert.equal(events, 1);
});

Deno.test("packet loop: fails with the error of a device that is gone", () => {
  using loop = makeLoop(0);
  assert.throws(
    () =>
      loop.run({
        // No descriptor has this number. poll(2) reports it as invalid, which counts as readable.
        sources: [source(0x7fff_ffff, () => {
          throw new SysError("Cannot read from the TUN device", "read", "EBADFD");
        })],
      }),
    /Cannot read from the TUN device: read failed: EBADFD/,
  );
});

Deno.test("packet loop: works the same while it stays awake, and then blocks", () => {
  using loop = makeLoop(1);
  const [device] = loop.fds as [number];
  const asked: number[] = [];
  let expired = 0;
  ringDoorbell(device);
  const begun = monotonic();
  loop.run({
    sources: [answering(device, () => {
      answerDoorbell(device);
      if (asked.push(1) < 3) ringDoorbell(device); // the next packet comes while the loop is awake
      return 1;
    })],
    deadline: () => expired === 0 ? begun + 20 : Infinity,
    expire: () => {
      expired++;
      ringDoorbell(loop.end);
    },
  });
  assert.equal(asked.length, 3);
  assert.equal(expired, 1);
  assert.ok(monotonic() - begun >= 20);
});

/**
 * The sources that a loop asks: the first has `answers` packets and does not ring; the second rings
 * and has `sent`.
 */
function askedOf({ first = answering, answers, sent }: {
  readonly first?: typeof source;
  readonly answers: number;
  readonly sent: number;
}): string[] {
  using loop = makeLoop(2);
  const [quiet, asking] = loop.fds as [number, number];
  const asked: string[] = [];
  ringDoorbell(asking);
  loop.run({
    sources: [
      first(quiet, () => {
        asked.push("answers");
        return answers;
      }),
      source(asking, () => {
        asked.push("asking");
        answerDoorbell(asking);
        ringDoorbell(loop.end);
        return sent;
      }),
    ],
  });
  return asked;
}

Deno.test("packet loop: looks for an answer right after a single packet", () => {
  assert.deepEqual(askedOf({ answers: 1, sent: 1 }), ["asking", "answers"]);
  assert.deepEqual(askedOf({ answers: 0, sent: 1 }), ["asking", "answers"]);
});

Deno.test("packet loop: does not look for an answer after many packets or none, or without such a source", () => {
  assert.deepEqual(askedOf({ answers: 1, sent: 2 }), ["asking"]);
  assert.deepEqual(askedOf({ answers: 1, sent: 0 }), ["asking"]);
  assert.deepEqual(askedOf({ first: source, answers: 1, sent: 1 }), ["asking"]);
});

Deno.test("packet loop: refuses a source in memory", () => {
  using loop = makeLoop(0);
  const inMemory = { ...source(0, () => 0), fd: undefined };
  assert.throws(
    () => loop.run({ sources: [inMemory] }),
    new TypeError("a loop cannot wait for a device in memory"),
  );
});

Deno.test("packet loop: meets a deadline at the start before it moves packets", () => {
  using loop = makeLoop(1);
  const [device] = loop.fds as [number];
  ringDoorbell(device);
  const done: string[] = [];
  loop.run({
    sources: [source(device, () => {
      answerDoorbell(device);
      ringDoorbell(loop.end);
      return done.push("packet");
    })],
    deadline: () => done.length === 0 ? -Infinity : Infinity,
    expire: () => void done.push("due"),
  });
  assert.deepEqual(done, ["due", "packet"]);
});
