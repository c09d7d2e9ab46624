/**
 * The table of echo sessions.
 *
 * ```
 *   circuit, client, id, destination ──► outbound ──► external id ──► world
 *   circuit, client, id              ◄── inbound  ◄── external id, destination
 * ```
 *
 * @module
 */
import {
  type EchoSession,
  IcmpTranslator,
  type IdentifierShare,
  TRANSLATOR_LIMITS,
  type TranslatorLimits,
} from "../../src/exit/raw_icmp/translator.ts";
import { addressFromBits, type IpAddress } from "../../src/ip/address.ts";
import { address } from "../support/packets.ts";
import { Random } from "../support/random.ts";
import fc from "fast-check";
import assert from "node:assert/strict";

const CLIENT = address("10.0.2.15");
const OTHER = address("10.0.2.16");
const CSAIL = address("128.30.2.155");
const MIT = address("18.9.22.69");
const { idle: IDLE, grace: GRACE } = TRANSLATOR_LIMITS;

/** Random numbers for a table. */
function randomFrom(seed: number): () => number {
  const random = new Random(seed);
  return () => random.word() / 2 ** 32;
}

/** Makes the table draw the identifiers of a list in turn, and then count up from the last one. */
function drawing(...identifiers: number[]): () => number {
  let last = 0;
  return () => (last = identifiers.shift() ?? last) / 65_536;
}

function table(
  limits: Partial<TranslatorLimits> = {},
  random = randomFrom(1),
  share?: IdentifierShare,
): IcmpTranslator {
  return new IcmpTranslator(random, { ...TRANSLATOR_LIMITS, ...limits }, share);
}

Deno.test("translator: each circuit, client, identifier and destination has its own session", () => {
  const translator = table();
  const external = new Set<number>();
  for (const circuit of [1, 2, 0xffff_ffff]) {
    for (const client of [CLIENT, OTHER, ...["0.0.0.1", "223.255.255.255"].map(address)]) {
      for (const identifier of [0, 1, 7, 0xffff]) {
        for (const destination of [CSAIL, MIT, ...["0.0.0.1", "223.255.255.255"].map(address)]) {
          const session = translator.outbound(circuit, client, identifier, destination, 0)!;
          const { expires: _, externalIdentifier, ...fields } = { ...pick(session) };
          assert.deepEqual(fields, { circuit, client, identifier, destination });
          external.add(externalIdentifier);
        }
      }
    }
  }
  assert.equal(external.size, 3 * 4 * 4 * 4);
  assert.equal(translator.size, external.size);
});

Deno.test("translator: the next request and its answer find the session again", () => {
  const translator = table();
  const session = translator.outbound(1, CLIENT, 7, CSAIL, 0)!;
  translator.outbound(1, CLIENT, 7, MIT, 0);
  assert.equal(translator.outbound(1, CLIENT, 7, CSAIL, 1000), session);
  assert.equal(translator.inbound(session.externalIdentifier, CSAIL, 1000), session);
  assert.equal(translator.size, 2);
});

Deno.test("translator: accepts an answer only from the request's destination, with its identifier", () => {
  const translator = table({}, drawing(5000));
  translator.outbound(1, CLIENT, 7, CSAIL, 0);
  assert.equal(translator.inbound(5000, MIT, 0), undefined, "another host");
  assert.equal(translator.inbound(7, CSAIL, 0), undefined, "the client's own identifier");
  assert.equal(translator.inbound(5001, CSAIL, 0), undefined, "an identifier that nobody has");
  assert.ok(translator.inbound(5000, CSAIL, 0));
});

Deno.test("translator: a session ends after its idle time, to the millisecond, and each request extends it", () => {
  const translator = table({}, drawing(5000, 6000));
  translator.outbound(1, CLIENT, 7, CSAIL, 0);
  translator.outbound(1, CLIENT, 7, CSAIL, 10);
  assert.equal(translator.deadline, 10 + IDLE);
  assert.ok(translator.inbound(5000, CSAIL, 10 + IDLE - 1));
  assert.equal(translator.inbound(5000, CSAIL, 10 + IDLE), undefined, "expired, but still in the table");
  const next = translator.outbound(1, CLIENT, 7, CSAIL, 10 + IDLE)!;
  assert.equal(next.externalIdentifier, 6000, "a new session has a new identifier");
  assert.equal(translator.size, 1);
});

Deno.test("translator: answers do not extend a session, or the world could keep it open (RFC 4787 §4.3)", () => {
  const translator = table({}, drawing(5000));
  translator.outbound(1, CLIENT, 7, CSAIL, 0);
  translator.inbound(5000, CSAIL, IDLE - 1);
  assert.equal(translator.deadline, IDLE);
});

Deno.test("translator: expire ends only sessions that are due, and the deadline is the next one's", () => {
  const translator = table();
  assert.equal(translator.deadline, Infinity);
  for (let host = 1; host <= 4; host++) {
    translator.outbound(1, CLIENT, 7, addressFromBits(host << 24), host * 100);
  }
  translator.outbound(1, CLIENT, 7, addressFromBits(2 << 24), 1000); // used again: the newest
  const steps: [now: number, left: number, next: number][] = [
    [100 + IDLE - 1, 4, 100 + IDLE],
    [100 + IDLE, 3, 300 + IDLE],
    [400 + IDLE, 1, 1000 + IDLE],
    [1000 + IDLE, 0, Infinity],
  ];
  for (const [now, left, next] of steps) {
    translator.expire(now);
    assert.deepEqual([translator.size, translator.deadline], [left, next], `at ${now} ms`);
  }
});

Deno.test("translator: a full table drops the session unused longest, unless its answer may be on its way", () => {
  const translator = table({ sessions: 2 }, drawing(5000, 6000, 7000, 8000));
  translator.outbound(1, CLIENT, 1, CSAIL, 0);
  translator.outbound(1, CLIENT, 2, CSAIL, 100);
  translator.outbound(1, CLIENT, 1, CSAIL, 200); // now the other one is the oldest
  assert.equal(translator.outbound(1, CLIENT, 3, CSAIL, 100 + GRACE - 1), undefined);
  assert.ok(translator.inbound(6000, CSAIL, 100 + GRACE - 1), "a refusal does not harm the others");
  assert.ok(translator.outbound(1, CLIENT, 3, CSAIL, 100 + GRACE));
  assert.equal(translator.inbound(6000, CSAIL, 100 + GRACE), undefined, "gave way");
  assert.ok(translator.inbound(5000, CSAIL, 100 + GRACE), "used later, so kept");
  assert.ok(translator.outbound(1, CLIENT, 1, CSAIL, 100 + GRACE), "known sessions go on in a full table");
  assert.equal(translator.size, 2);
});

Deno.test("translator: 200,000 destinations never exceed the limit, and each gets its session", () => {
  const translator = table({ sessions: 1000 });
  let now = 0;
  for (let host = 0; host < 200_000; host++, now += 5.1) {
    const session = translator.outbound(1, CLIENT, host & 0xffff, addressFromBits(0x1200_0000 + host), now);
    assert.ok(session !== undefined, `host ${host}`);
    assert.equal(translator.inbound(session.externalIdentifier, session.destination, now + 1), session);
    assert.ok(translator.size <= 1000);
  }
  translator.expire(now + IDLE);
  assert.equal(translator.size, 0);
});

Deno.test("translator: draws another identifier if one is taken, or is the client's own", () => {
  const translator = table({}, drawing(7, 8, 8, 0xffff, 0xffff));
  assert.equal(
    translator.outbound(1, CLIENT, 7, addressFromBits(1 << 24), 0)!.externalIdentifier,
    8,
    "7 is its own",
  );
  assert.equal(
    translator.outbound(1, CLIENT, 9, addressFromBits(1 << 24), 0)!.externalIdentifier,
    10,
    "8 is taken, 9 its own",
  );
  assert.equal(
    translator.outbound(1, CLIENT, 9, addressFromBits(2 << 24), 0)!.externalIdentifier,
    11,
    "and 10 is taken",
  );
  assert.equal(translator.outbound(1, CLIENT, 0, addressFromBits(1 << 24), 0)!.externalIdentifier, 0xffff);
  assert.equal(
    translator.outbound(1, CLIENT, 3, addressFromBits(1 << 24), 0)!.externalIdentifier,
    1,
    "wraps around: 0 is the client's own",
  );
});

/*
 * On a host with one card, `ping` and the exit have the same address, and the kernel shows what
 * comes in to both:
 *
 * ping A, id 100 ──► exit, id 200 ──► world world ──► id 200 ──┬──► exit ──► id 100 ──► ping A ping
 * B, id 200 … └──► ping B: "not for me", if it is not
 */
Deno.test("translator: the world never sees an identifier that a client uses", () => {
  const translator = table({}, drawing(200, 100, 300));
  const a = translator.outbound(1, CLIENT, 100, CSAIL, 0)!;
  assert.equal(a.externalIdentifier, 200);
  // Draws 100, which is A's own.
  assert.equal(translator.outbound(1, CLIENT, 50, CSAIL, 0)!.externalIdentifier, 101);

  // B appears with the external identifier of A's session. From now on A's requests use another.
  translator.outbound(1, CLIENT, 200, CSAIL, 10);
  const moved = translator.outbound(1, CLIENT, 100, CSAIL, 20)!;
  assert.notEqual(moved, a);
  assert.notEqual(moved.externalIdentifier, 200);
  assert.equal(translator.inbound(200, CSAIL, 30), a, "an answer that was on its way is still accepted");
  assert.equal(translator.outbound(1, CLIENT, 100, CSAIL, 40), moved);

  // The old session stays only for late answers, until it expires.
  translator.expire(IDLE);
  assert.equal(translator.inbound(200, CSAIL, IDLE), undefined);
  assert.equal(translator.outbound(1, CLIENT, 100, CSAIL, IDLE), moved);
});

Deno.test("translator: opens no session if every identifier is in use, and does not search for ever", () => {
  const translator = table({ sessions: 65_536 });
  let opened = 0;
  while (translator.outbound(1, CLIENT, 7, addressFromBits(0x1200_0000 + opened), 0) !== undefined) opened++;
  assert.equal(opened, 65_535, "all but the client's own");
  assert.equal(translator.outbound(1, CLIENT, 8, CSAIL, 0), undefined);
  assert.equal(translator.size, 65_535);
  translator.expire(IDLE);
  assert.ok(translator.outbound(1, CLIENT, 8, CSAIL, IDLE));
});

/**
 * The same table as a slow and plain list. It takes the identifier that was drawn, and checks it.
 */
class PlainTable {
  #sessions: (PlainSession & { retired: boolean })[] = [];

  constructor(readonly limits: TranslatorLimits) {}

  get size(): number {
    return this.#sessions.length;
  }

  get deadline(): number {
    return Math.min(...this.#sessions.map((each) => each.used + this.limits.idle));
  }

  expire(now: number): void {
    this.#sessions = this.#sessions.filter((each) => each.used + this.limits.idle > now);
  }

  outbound(key: Key, now: number, got: EchoSession | undefined): void {
    this.expire(now);
    let session = this.#sessions.find((each) => !each.retired && isSame(each, key));
    if (session === undefined) {
      if (this.size >= this.limits.sessions) {
        const longest = this.#sessions.toSorted((a, b) => a.used - b.used)[0];
        if (longest === undefined || now - longest.used < this.limits.grace) {
          return assert.equal(got, undefined, "full");
        }
        // Of several that have been unused equally long, any may go. The list is in the order of
        // use.
        this.#sessions.splice(this.#sessions.indexOf(longest), 1);
      }
      assert.ok(got !== undefined, "there was room");
      const external = got.externalIdentifier;
      for (const each of this.#sessions) {
        assert.notEqual(external, each.external, "an external identifier given twice");
        assert.notEqual(external, each.identifier, "an external identifier that is a client's own");
        if (each.external === key.identifier) each.retired = true;
      }
      assert.notEqual(external, key.identifier, "the client's own");
      session = { ...key, external, used: now, retired: false };
    }
    assert.ok(got !== undefined);
    assert.deepEqual(pick(got), { ...fieldsOf(session), expires: now + this.limits.idle });
    session.used = now;
    this.#sessions = [...this.#sessions.filter((each) => each !== session), session];
  }

  inbound(external: number, destination: IpAddress, now: number): PlainSession | undefined {
    return this.#sessions.find((each) =>
      each.external === external && each.destination === destination && each.used + this.limits.idle > now
    );
  }
}

interface Key {
  readonly circuit: number;
  readonly client: IpAddress;
  readonly identifier: number;
  readonly destination: IpAddress;
}

interface PlainSession extends Key {
  readonly external: number;
  used: number;
}

function isSame(a: Key, b: Key): boolean {
  return a.circuit === b.circuit && a.client === b.client && a.identifier === b.identifier &&
    a.destination === b.destination;
}

function fieldsOf({ circuit, client, identifier, destination, external }: PlainSession) {
  return { circuit, client, identifier, destination, externalIdentifier: external };
}

function pick(session: EchoSession) {
  const { circuit, client, identifier, destination, externalIdentifier, expires } = session;
  return { circuit, client, identifier, destination, externalIdentifier, expires };
}

Deno.test("translator: agrees with a plain list of sessions, in any order of events", () => {
  // Few of everything, so that the identifiers of clients and of the world collide.
  const limits = { sessions: 6, idle: 100, grace: 20 };
  const request = fc.record({
    kind: fc.constant("request" as const),
    circuit: fc.integer({ min: 1, max: 2 }),
    client: fc.constantFrom(CLIENT, OTHER),
    identifier: fc.nat(11),
    destination: fc.constantFrom(CSAIL, MIT),
  });
  const answer = fc.record({
    kind: fc.constant("answer" as const),
    external: fc.nat(15),
    destination: fc.constantFrom(CSAIL, MIT),
  });
  const wait = fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, 7, 20, 50, 100) });
  const sweep = fc.record({ kind: fc.constant("sweep" as const) });
  const steps = fc.array(
    fc.oneof({ weight: 6, arbitrary: request }, { weight: 3, arbitrary: answer }, wait, sweep),
    { maxLength: 120, size: "max" },
  );
  fc.assert(
    fc.property(steps, fc.integer(), (steps, seed) => {
      const random = randomFrom(seed);
      const translator = new IcmpTranslator(() => random() / 4096, limits);
      const plain = new PlainTable(limits);
      let now = 0;
      for (const step of steps) {
        switch (step.kind) {
          case "request": {
            const { circuit, client, identifier, destination } = step;
            const got = translator.outbound(circuit, client, identifier, destination, now);
            plain.outbound({ circuit, client, identifier, destination }, now, got);
            break;
          }
          case "answer": {
            const want = plain.inbound(step.external, step.destination, now);
            const got = translator.inbound(step.external, step.destination, now);
            assert.deepEqual(
              got && pick(got),
              want && { ...fieldsOf(want), expires: want.used + limits.idle },
            );
            break;
          }
          case "wait":
            now += step.ms;
            break;
          case "sweep":
            plain.expire(now);
            translator.expire(now);
            break;
        }
        assert.equal(translator.size, plain.size);
        assert.equal(translator.deadline, plain.deadline);
      }
    }),
    { numRuns: 300 },
  );
});

/** The identifiers that a table gives to a number of sessions. */
function externalsOf(translator: IcmpTranslator, count: number): number[] {
  return Array.from({ length: count }, (_, host) => {
    return translator.outbound(1, CLIENT, 7, addressFromBits((1 << 24) + host), 0)?.externalIdentifier ?? NaN;
  });
}

Deno.test("translator: exits that share an address never use the same identifier", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 6 }), fc.nat(), (of, seed) => {
      const taken = Array.from({ length: of }, (_, index) => {
        return externalsOf(table({}, randomFrom(seed), { index, of }), 500);
      });
      for (const [index, externals] of taken.entries()) {
        assert.ok(externals.every((identifier) => identifier % of === index && identifier < 65_536));
      }
      assert.equal(new Set(taken.flat()).size, of * 500);
    }),
    { numRuns: 20 },
  );
});

Deno.test("translator: a share is exactly the identifiers with its remainder", () => {
  for (
    const [of, sizes] of [[3, [21_846, 21_845, 21_845]], [6, [
      10_923,
      10_923,
      10_923,
      10_923,
      10_922,
      10_922,
    ]]] as const
  ) {
    const all = new Set<number>();
    for (const [index, size] of sizes.entries()) {
      let drawn = 0;
      const inTurn = () => (drawn++ % size + 0.5) / size;
      const translator = table({ sessions: 65_536 }, inTurn, { index, of });
      // The client's own identifier, 7, may or may not be one of them.
      const most = size - Number(7 % of === index);
      const externals = externalsOf(translator, most + 1);
      assert.equal(externals.pop(), NaN, "and then there are none left");
      assert.ok(externals.every((identifier) => identifier % of === index));
      assert.equal(new Set(externals).size, most);
      for (const identifier of externals) all.add(identifier);
    }
    assert.equal(all.size, 65_535);
  }
});
