import assert from "node:assert/strict";
import fc from "fast-check";
import { Conversation } from "../../src/control/conversation.ts";
import { type Frame, FrameKind, PROXY } from "../../src/control/frame.ts";
import { Random } from "../support/random.ts";

const ROUTER = 1;

/** A conversation whose frames are recorded, so that a test can deliver them. */
function makeParty(self: number, other: number) {
  const sent: Frame<string>[] = [];
  const conversation = new Conversation<string, string>(self, other, (frame) => sent.push(frame));
  return { conversation, sent };
}

function message(from: number, to: number, sequence: number, text: string): Frame<string> {
  return { kind: FrameKind.message, from, to, sequence, message: text };
}

function acknowledgement(from: number, to: number, sequence: number): Frame<string> {
  return { kind: FrameKind.acknowledgement, from, to, sequence };
}

/*
 *   proxy                                   router
 *     │── 1 "settings" ────────────────────►│ message
 *     │◄──────────────── acknowledges 1 ────│
 *     │── 2 "stop" ────────────────────────►│ message
 */
Deno.test("conversation: sends the next message once the current one is acknowledged", () => {
  const { conversation, sent } = makeParty(PROXY, ROUTER);
  assert.equal(conversation.isQuiet, true);
  conversation.say("settings", 0);
  conversation.say("stop", 0);
  assert.deepEqual(sent.splice(0), [message(PROXY, ROUTER, 1, "settings")]);
  assert.equal(conversation.isQuiet, false);

  assert.deepEqual(conversation.take(acknowledgement(ROUTER, PROXY, 1), 5), { kind: "acknowledged" });
  assert.deepEqual(sent.splice(0), [message(PROXY, ROUTER, 2, "stop")]);
  assert.deepEqual(conversation.take(acknowledgement(ROUTER, PROXY, 2), 9), { kind: "acknowledged" });
  assert.deepEqual(sent, []);
  assert.equal(conversation.isQuiet, true);
  assert.equal(conversation.deadline, Infinity);
});

Deno.test("conversation: delivers a message once and acknowledges every copy", () => {
  const { conversation, sent } = makeParty(ROUTER, PROXY);
  const first = message(PROXY, ROUTER, 1, "settings");
  assert.deepEqual(conversation.take(first, 0), { kind: "message", message: "settings" });
  assert.deepEqual(conversation.take(first, 0), { kind: "repeated" });
  assert.deepEqual(conversation.take(message(PROXY, ROUTER, 2, "stop"), 0), {
    kind: "message",
    message: "stop",
  });
  assert.deepEqual(conversation.take(first, 0), { kind: "repeated" });
  assert.deepEqual(
    sent,
    [1, 1, 2, 1].map((sequence) => acknowledgement(ROUTER, PROXY, sequence)),
  );
});

Deno.test("conversation: repeats after 100 ms, then with doubled pauses of at most 1 s, for ever", () => {
  const { conversation, sent } = makeParty(PROXY, ROUTER);
  conversation.say("stop", 0);
  const times: number[] = [];
  for (let now = 0; now <= 10_000; now++) {
    sent.length = 0;
    conversation.repeat(now);
    if (sent.length === 0) continue;
    assert.deepEqual(sent, [message(PROXY, ROUTER, 1, "stop")]);
    times.push(now);
  }
  assert.deepEqual(times.slice(0, 6), [100, 300, 700, 1500, 2500, 3500]);
  assert.equal(times.at(-1), 9500);
  assert.equal(conversation.deadline, 10_500);
});

Deno.test("conversation: starts each message with the first pause again", () => {
  const { conversation } = makeParty(PROXY, ROUTER);
  conversation.say("settings", 0);
  conversation.say("stop", 0);
  for (const now of [100, 300, 700]) conversation.repeat(now);
  conversation.take(acknowledgement(ROUTER, PROXY, 1), 900);
  assert.equal(conversation.deadline, 1000);
});

Deno.test("conversation: repeats nothing once all is acknowledged", () => {
  const { conversation, sent } = makeParty(PROXY, ROUTER);
  conversation.repeat(1e9);
  conversation.say("stop", 0);
  conversation.take(acknowledgement(ROUTER, PROXY, 1), 1);
  sent.length = 0;
  conversation.repeat(1e9);
  assert.deepEqual(sent, []);
});

Deno.test("conversation: ignores early, duplicate and future acknowledgements", () => {
  const { conversation, sent } = makeParty(PROXY, ROUTER);
  assert.deepEqual(conversation.take(acknowledgement(ROUTER, PROXY, 1), 0), { kind: "repeated" });
  conversation.say("settings", 0);
  conversation.say("stop", 0);
  conversation.take(acknowledgement(ROUTER, PROXY, 1), 0);
  sent.length = 0;
  for (const sequence of [1, 3, 0xffff_ffff]) {
    assert.deepEqual(conversation.take(acknowledgement(ROUTER, PROXY, sequence), 0), { kind: "repeated" });
  }
  assert.deepEqual(sent, []);
  assert.equal(conversation.isQuiet, false);
});

Deno.test("conversation: rejects frames of others, for others, its own sent back, and ahead of their turn", () => {
  const { conversation, sent } = makeParty(PROXY, ROUTER);
  const cases: [what: string, frame: Frame<string>][] = [
    ["from another router", message(2, PROXY, 1, "up")],
    ["for another router", message(ROUTER, 2, 1, "up")],
    ["our own, turned back", message(PROXY, ROUTER, 1, "settings")],
    ["an answer of our own, turned back", acknowledgement(PROXY, ROUTER, 1)],
    ["the second before the first", message(ROUTER, PROXY, 2, "ready")],
  ];
  for (const [what, frame] of cases) {
    assert.deepEqual(conversation.take(frame, 0), { kind: "foreign" }, what);
  }
  assert.deepEqual(sent, [], "and none is answered");
  assert.deepEqual(conversation.take(message(ROUTER, PROXY, 1, "up"), 0), { kind: "message", message: "up" });
});

Deno.test("conversation: delivers nothing when an old conversation is replayed", () => {
  const { conversation } = makeParty(PROXY, ROUTER);
  const recorded = ["up", "ready", "alive", "stopped"].map((text, index) =>
    message(ROUTER, PROXY, index + 1, text)
  );
  for (const frame of recorded) assert.equal(conversation.take(frame, 0).kind, "message");
  for (const frame of recorded) assert.equal(conversation.take(frame, 0).kind, "repeated");
});

/** A medium between two parties that loses, duplicates and delays, with a clock of its own. */
class Medium {
  now = 0;
  readonly #random: Random;
  readonly #loss: number;
  #underWay: { readonly at: number; readonly frame: Frame<string> }[] = [];
  /** When faults end, in ms. Without an end, delivery could not be guaranteed. */
  readonly #faultsEnd: number;

  constructor(seed: number, loss: number, faultsEnd: number) {
    this.#random = new Random(seed);
    this.#loss = loss;
    this.#faultsEnd = faultsEnd;
  }

  carry(frame: Frame<string>): void {
    const isFaulty = this.now < this.#faultsEnd;
    const copies = !isFaulty ? 1 : this.#random.below(100) < this.#loss ? 0 : this.#random.oneIn(4) ? 3 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#underWay.push({ at: this.now + 1 + this.#random.below(isFaulty ? 400 : 5), frame });
    }
  }

  /**
   * Moves the clock to the next event, at most to `latest`, and returns the frames that arrive
   * then.
   */
  advance(latest: number): Frame<string>[] {
    this.now = Math.min(latest, ...this.#underWay.map(({ at }) => at));
    const arrived = this.#underWay.filter(({ at }) => at <= this.now);
    this.#underWay = this.#underWay.filter(({ at }) => at > this.now);
    return this.#random.shuffle(arrived).map(({ frame }) => frame);
  }

  get isEmpty(): boolean {
    return this.#underWay.length === 0;
  }
}

Deno.test("conversation: delivers once and in order over a medium that loses, duplicates and reorders", () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(70), fc.nat(12), fc.nat(12), (seed, loss, fromProxy, fromRouter) => {
      const medium = new Medium(seed, loss, 20_000);
      const random = new Random(seed + 1);
      const carry = (frame: Frame<string>) => medium.carry(frame);
      const parties = [PROXY, ROUTER].map((self) => ({
        conversation: new Conversation<string, string>(self, 1 - self, carry),
        heard: [] as string[],
        toSay: Array.from({ length: self === PROXY ? fromProxy : fromRouter }, (_, n) => `${self}: ${n}`),
      }));
      const said = parties.map(({ toSay }) => [...toSay]);
      const isOver = () =>
        medium.isEmpty &&
        parties.every(({ conversation, toSay }) => conversation.isQuiet && toSay.length === 0);

      for (let turns = 0; !isOver(); turns++) {
        assert.ok(turns < 5000, "the conversation ends");
        for (const { conversation, toSay } of parties) {
          const text = random.oneIn(3) ? toSay.shift() : undefined;
          if (text !== undefined) conversation.say(text, medium.now);
        }
        const deadlines = parties.map(({ conversation }) => conversation.deadline);
        for (const frame of medium.advance(Math.min(medium.now + 50, ...deadlines))) {
          const { conversation, heard } = parties[frame.to]!;
          const arrival = conversation.take(frame, medium.now);
          if (arrival.kind === "message") heard.push(arrival.message);
          assert.notEqual(arrival.kind, "foreign", "stop and wait: nothing is ever ahead of its turn");
        }
        for (const { conversation } of parties) conversation.repeat(medium.now);
      }
      assert.deepEqual(parties.map(({ heard }) => heard), said.toReversed());
    }),
  );
});
