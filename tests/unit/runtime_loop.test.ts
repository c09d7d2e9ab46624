import assert from "node:assert/strict";
import type { Node } from "../../src/runtime/node.ts";
import { runUntilDoorbell } from "../../src/runtime/loop.ts";
import type { Source } from "../../src/runtime/source.ts";
import { SysError } from "../../src/errors.ts";
import { monotonic } from "../../src/sys/clock.ts";
import { answerDoorbell, makeDoorbell, ringDoorbell } from "../../src/sys/doorbell.ts";
import { EventRing, ringBytes } from "../../src/trace/event_ring.ts";

/** A loop over doorbells: one ends it, the others stand for devices. */
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
      const whole: Node = { sources: [], deadline: () => Infinity, expire: () => {}, ...node };
      runUntilDoorbell({ node: whole, ring }, end);
    },
    [Symbol.dispose]: () => stack.dispose(),
  };
}

Deno.test("the doorbell ends the loop, and is left ringing for who reads the order", () => {
  using loop = makeLoop(0);
  ringDoorbell(loop.end);
  loop.run({});
  assert.equal(answerDoorbell(loop.end), true);
  assert.equal(answerDoorbell(loop.end), false);
});

/** A source that is readable while `fd` rings, and does this when it is its turn. */
function source(fd: number, move: Source["move"]): Source {
  return { fd, move, bringsAnswers: false };
}

/** The same, of a source that brings answers. */
function answering(fd: number, move: Source["move"]): Source {
  return { fd, move, bringsAnswers: true };
}

Deno.test("only devices that have something are asked, until they have nothing more", () => {
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

Deno.test("what is due is done in time though no packet comes", () => {
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

Deno.test("who sleeps over the event ring is woken a little after the turn that wrote to it, or when the loop ends", async () => {
  // A pending Atomics.waitAsync alone does not keep Deno's event loop alive.
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
  loop.ring.drain(() => events++);
  assert.equal(events, 1);
  clearInterval(alive);
});

/** A source that emits another event each time, and does something before. */
function chatter(ring: EventRing, device: number, before: (time: number) => void): Source {
  let time = 0;
  return source(device, () => {
    answerDoorbell(device);
    before(time);
    ring.relaySealed(time++, 2, 0, 0);
    return 1;
  });
}

Deno.test("who sleeps over the event ring is woken early where it fills", () => {
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

Deno.test("who sleeps over the event ring is not woken again soon where little happens", () => {
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

Deno.test("what happened before a device failed is not lost to the log", () => {
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
  new EventRing(loop.memory).drain(() => events++);
  assert.equal(events, 1);
});

Deno.test("a device that is gone ends the loop with an error that names it", () => {
  using loop = makeLoop(0);
  assert.throws(
    () =>
      loop.run({
        // No descriptor has this number: poll(2) calls it invalid, which counts as something to read.
        sources: [source(0x7fff_ffff, () => {
          throw new SysError("Cannot read from the TUN device", "read", "EBADFD");
        })],
      }),
    /Cannot read from the TUN device: read failed: EBADFD/,
  );
});

Deno.test("a loop that stays awake after a packet does the same things, and blocks when nothing follows", () => {
  using loop = makeLoop(1);
  const [device] = loop.fds as [number];
  const asked: number[] = [];
  let expired = 0;
  ringDoorbell(device);
  const begun = monotonic();
  loop.run({
    sources: [answering(device, () => {
      answerDoorbell(device);
      if (asked.push(1) < 3) ringDoorbell(device); // the next one comes while it is awake
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

/** Which of two sources a loop asks: one has `answers` packets when asked, the other rings and has `sent` packets. */
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

Deno.test("behind a lone packet the answer is looked for at once, though nothing has told of it", () => {
  assert.deepEqual(askedOf({ answers: 1, sent: 1 }), ["asking", "answers"]);
  assert.deepEqual(askedOf({ answers: 0, sent: 1 }), ["asking", "answers"]);
});

Deno.test("it is not looked for behind many, or none, or where no source brings answers", () => {
  assert.deepEqual(askedOf({ answers: 1, sent: 2 }), ["asking"]);
  assert.deepEqual(askedOf({ answers: 1, sent: 0 }), ["asking"]);
  assert.deepEqual(askedOf({ first: source, answers: 1, sent: 1 }), ["asking"]);
});

Deno.test("packet loop: refuses a source in memory, which it could not wait for", () => {
  using loop = makeLoop(0);
  const inMemory = { ...source(0, () => 0), fd: undefined };
  assert.throws(
    () => loop.run({ sources: [inMemory] }),
    new TypeError("a loop cannot wait for a device in memory"),
  );
});

Deno.test("what is due at the start comes before packets that have waited for it", () => {
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
