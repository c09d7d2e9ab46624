/**
 * The life of circuits, on a clock that only the test moves. The test also plays the routers:
 *
 * ```
 *   client ── choose ──► CircuitPool ─── send ──► test
 *                          expire ▲    ◄─ answer ── test
 *                           clock ┘
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { CIRCUIT_LIMITS, type CircuitLimits, CircuitPool } from "../../src/circuit/origin/pool.ts";
import { CIRCUIT_KINDS, type CircuitKindName } from "../../src/circuit/kind.ts";
import { byClient, type CircuitKey, type KeyOf } from "../../src/circuit/origin/key.ts";
import type { OriginCircuit } from "../../src/circuit/origin/origin_circuit.ts";
import type { DropReason } from "../../src/trace/counters.ts";
import { Counters } from "../../src/trace/counters.ts";
import { PROVIDER } from "../support/crypto.ts";
import { event, EventMemory, routersOf } from "../support/events.ts";
import { address, cell, hex, pattern, poisoned } from "../support/packets.ts";
import { Random } from "../support/random.ts";
import { Routers } from "../support/routers.ts";
import { addressFromBits, formatIp, type IpAddress } from "../../src/ip/address.ts";
import { viewOf } from "../support/views.ts";

const [ALICE, BOB] = [address("10.0.2.15"), address("10.0.2.16")];
const [EXTEND, EXTEND_DONE, DESTROY] = [0x52, 0x53, 0x66];
const LINKS = [40_001, 40_002, 40_003, 40_004].map((port) => ({ address: address("127.0.0.1"), port }));
const { lifetime: LIFETIME, answer: ANSWER, pause: PAUSE, draining: DRAINING } = CIRCUIT_LIMITS;
const REPLACE_AT = 0.9 * LIFETIME;

/** The parts of a cell that was sent. */
interface Sent {
  readonly to: number;
  readonly type: number;
  readonly id: number;
  readonly body: Uint8Array;
}

interface Options {
  readonly kind?: CircuitKindName;
  readonly hops?: number;
  readonly limits?: Partial<CircuitLimits>;
  readonly first?: IpAddress;
  readonly keyOf?: KeyOf;
  readonly seed?: number;
  /** Real routers, for sealed circuits. */
  readonly routers?: Routers;
}

/** A pool at time 0. By default, circuits have two of four routers. */
class Rig {
  now = 0;
  readonly pool: CircuitPool;
  readonly counters = new Counters();
  readonly log = new EventMemory();
  readonly opened: [key: CircuitKey, id: number][] = [];
  readonly failed: CircuitKey[] = [];
  readonly #hops: number;
  /** The body of the last create or extend cell, by circuit. */
  readonly #asked = new Map<number, Uint8Array>();
  /** The first hop of each circuit. */
  readonly #first = new Map<number, number>();
  #sent: Sent[] = [];

  constructor(options: Options = {}) {
    const { kind = "plain", hops = 2, limits = {}, first, keyOf = byClient, seed = 1, routers } = options;
    const random = new Random(seed);
    this.#hops = hops;
    this.pool = new CircuitPool(
      {
        kind: CIRCUIT_KINDS[kind],
        hops,
        routers: routers?.descriptions ?? LINKS.map((link) => ({ link })),
        limits: { ...CIRCUIT_LIMITS, ...limits },
        keyOf,
        ...(first !== undefined && { first: { key: first, replyTo: first } }),
      },
      {
        send: (to, buffer) => {
          const bytes = buffer.copy();
          const id = new DataView(bytes.buffer).getUint32(4);
          const body = bytes.subarray(8);
          this.#sent.push({ to, type: bytes[0]!, id, body });
          this.#first.set(id, to);
          if (bytes[0] === EXTEND) this.#asked.set(id, body);
        },
        opened: (key, { id }, now) => {
          assert.equal(now, this.now);
          this.opened.push([key, id]);
        },
        failed: (key) => this.failed.push(key),
      },
      { counters: this.counters, events: this.log },
      () => random.word() / 2 ** 32,
      kind === "sealed" ? PROVIDER : undefined,
    );
  }

  /** The cells sent since the last call, as `type id`. */
  sent(): string[] {
    return this.sentCells().map(({ type, id }) => `${type.toString(16)} ${id}`);
  }

  sentCells(): Sent[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  /** Moves the clock to `now` from deadline to deadline, as the packet loop does. */
  until(now: number): this {
    while (this.pool.deadline <= now) {
      this.now = Math.max(this.now, this.pool.deadline);
      this.pool.expire(this.now);
      assert.ok(this.pool.deadline > this.now, "everything due has been done");
    }
    this.now = now;
    return this;
  }

  /** Chooses a circuit for a packet: its id, or why there is none. */
  packet(client = ALICE, destination = "128.30.2.155"): number | string {
    const circuit = this.pool.choose(viewOf({ source: formatIp(client), destination }), this.now);
    return typeof circuit === "string" ? circuit : circuit.id;
  }

  find(id: number): OriginCircuit | undefined {
    return this.pool.find(this.#first.get(id)!, id);
  }

  /** Whether a circuit is being built: the pool then knows its id, but takes only an answer. */
  isBuilding(id: number): boolean {
    const stray = poisoned(cell(0x54, id, hex("45")));
    return this.pool.answer(this.#first.get(id)!, id, stray, this.now) === "unexpected-cell";
  }

  /**
   * Hands the pool a cell of a circuit, by default the expected answer. Returns why it was dropped,
   * or undefined.
   */
  hears(id: number, type = EXTEND_DONE, body = this.#asked.get(id) ?? hex("")): DropReason | undefined {
    return this.pool.answer(this.#first.get(id)!, id, poisoned(cell(type, id, body)), this.now);
  }

  /** Lets all hops of a circuit answer at once. */
  build(id: number): this {
    for (let hop = 0; hop < this.#hops; hop++) assert.equal(this.hears(id), undefined);
    return this;
  }
}

/** A rig in which Alice has had circuit 1 since time 0. */
function open(options: Options = {}): Rig {
  const rig = new Rig(options);
  rig.packet();
  rig.build(1).sent();
  return rig;
}

Deno.test("circuit pool: has the documented limits", () => {
  assert.deepEqual(CIRCUIT_LIMITS, {
    lifetime: 600_000,
    answer: 500,
    pause: 100,
    maxPause: 2000,
    building: 15_000,
    draining: 10_000,
    circuits: 256,
    cells: 2 ** 32,
  });
});

Deno.test("circuit pool: starts to build at the first packet, and lets packets wait", () => {
  const rig = new Rig();
  assert.equal(rig.pool.deadline, Infinity);
  assert.equal(rig.packet(), "wait");
  const [begin, ...more] = rig.sentCells();
  assert.deepEqual([begin!.type, begin!.id, begin!.body, more], [EXTEND, 1, hex(""), []]);
  assert.equal(rig.packet(), "wait");
  assert.deepEqual(rig.sent(), []);
  assert.equal(rig.pool.deadline, ANSWER);
  assert.equal(rig.find(1), undefined, "not open yet");
  const other = (begin!.to + 1) % 4;
  const answer = poisoned(cell(EXTEND_DONE, 1, hex("")));
  assert.equal(rig.pool.answer(other, 1, answer, 0), "unknown-circuit", "another router's circuit");
});

Deno.test("circuit pool: extends at each answer, and opens the circuit at the last", () => {
  const rig = new Rig({ hops: 3 });
  rig.packet();
  const first = rig.sentCells()[0]!.to;
  rig.until(400);
  assert.equal(rig.hears(1), undefined);
  assert.equal(rig.pool.deadline, 400 + ANSWER, "the time starts anew for each hop");
  assert.deepEqual(rig.sent(), ["52 1"]);
  rig.until(800);
  assert.equal(rig.hears(1), undefined);
  assert.deepEqual(rig.sent(), ["52 1"]);
  assert.deepEqual(rig.opened, []);
  rig.until(900);
  assert.equal(rig.hears(1), undefined);
  assert.deepEqual(rig.opened, [[ALICE, 1]]);
  assert.deepEqual(rig.sent(), []);
  assert.equal(rig.packet(), 1);
  assert.equal(rig.find(1)!.id, 1);
  assert.equal(rig.pool.deadline, 900 + REPLACE_AT);
  assert.deepEqual(rig.counters.snapshot(), { "circuits-built": 1, "build-time": 900_000 });

  const done = event("extend-done", { port: LINKS[first]!.port, incoming: 1 });
  const [one, two, three, ...heard] = rig.log.events;
  assert.deepEqual(heard, [done, done, done]);
  const hops = routersOf([one!, two!, three!]);
  assert.deepEqual(
    [one, two, three],
    hops.map((router, index) => event("hop", { hop: index + 1, router })),
  );
  assert.equal(new Set(hops).size, 3, "distinct routers, counted from 1");
  assert.equal(hops[0], first + 1);
});

Deno.test("circuit pool: gives an attempt up without an answer, and forgets its id", () => {
  const rig = new Rig();
  rig.packet();
  rig.sent();
  rig.until(ANSWER - 1);
  assert.deepEqual(rig.sent(), []);
  assert.ok(rig.isBuilding(1));
  rig.until(ANSWER);
  assert.deepEqual(rig.sent(), ["66 1"]);
  assert.ok(!rig.isBuilding(1));
  assert.equal(rig.packet(), "wait");
  assert.deepEqual(rig.sent(), [], "nothing during the pause");
  assert.equal(rig.pool.deadline, ANSWER + PAUSE);
  assert.deepEqual(rig.counters.snapshot(), { "builds-failed": 1 });
});

Deno.test("circuit pool: avoids the silent router in the next attempt", () => {
  for (let seed = 0; seed < 100; seed++) {
    for (const answers of [0, 1, 2]) {
      const rig = new Rig({ hops: 3, seed });
      rig.packet();
      for (let hop = 0; hop < answers; hop++) rig.hears(1);
      const path = routersOf(rig.log.events);
      rig.log.clear();
      rig.until(ANSWER + PAUSE);
      assert.equal(rig.sent().at(-1), "52 2");
      const other = routersOf(rig.log.events);
      assert.equal(other.length, 3);
      assert.ok(!other.includes(path[answers]!), `${path} was followed by ${other}, seed ${seed}`);
    }
  }
});

Deno.test("circuit pool: doubles pauses up to 2 s, and stops 15 s after the first attempt", () => {
  const rig = new Rig();
  rig.packet();
  const started: number[] = [];
  while (rig.pool.deadline < Infinity) {
    if (rig.sent().some((each) => each.startsWith("52"))) started.push(rig.now);
    rig.until(rig.pool.deadline);
  }
  // 500 ms for each answer, and pauses of 100, 200, 400, 800, 1600, 2000 … ms.
  assert.deepEqual(started, [0, 600, 1300, 2200, 3500, 5600, 8100, 10_600, 13_100]);
  assert.equal(rig.now, 13_600);
  assert.deepEqual(rig.failed, [ALICE]);
  assert.deepEqual(rig.counters.snapshot(), { "builds-failed": 9 });
  for (let id = 1; id <= 9; id++) assert.ok(!rig.isBuilding(id));
});

Deno.test("circuit pool: tries anew for a key whose circuit failed", () => {
  const rig = new Rig();
  rig.packet();
  rig.until(20_000);
  assert.deepEqual(rig.failed, [ALICE]);
  rig.sent();
  assert.equal(rig.packet(), "wait");
  assert.deepEqual(rig.sent(), ["52 10"]);
  rig.until(20_000 + ANSWER);
  assert.equal(rig.pool.deadline, 20_000 + ANSWER + PAUSE);
});

Deno.test("circuit pool: starts to replace a circuit in use, which still carries packets", () => {
  const rig = open();
  rig.until(REPLACE_AT - 1);
  assert.equal(rig.packet(), 1);
  assert.deepEqual(rig.sent(), []);
  rig.until(REPLACE_AT);
  assert.deepEqual(rig.sent(), ["52 2"]);
  assert.equal(rig.packet(), 1);
  assert.equal(rig.pool.deadline, REPLACE_AT + ANSWER);
});

Deno.test("circuit pool: uses the new circuit, and drains the old one for 10 s", () => {
  const rig = open();
  rig.until(REPLACE_AT - 1).packet();
  rig.until(REPLACE_AT + 10).build(2);
  assert.deepEqual(rig.opened, [[ALICE, 1], [ALICE, 2]]);
  assert.equal(rig.packet(), 2);
  assert.ok(rig.find(1));
  rig.sent();
  assert.equal(rig.pool.deadline, REPLACE_AT + 10 + DRAINING);
  rig.until(REPLACE_AT + 10 + DRAINING - 1);
  assert.ok(rig.find(1));
  rig.until(REPLACE_AT + 10 + DRAINING);
  assert.deepEqual(rig.sent(), ["66 1"], "a destroy cell for its hops");
  assert.equal(rig.find(1), undefined);
  assert.equal(rig.packet(), 2);
  assert.equal(rig.pool.deadline, 2 * REPLACE_AT + 10, "a full lifetime for the new one");
});

Deno.test("circuit pool: repeats a failed replacement until the circuit ends", () => {
  const rig = open();
  rig.until(REPLACE_AT - 1).packet();
  rig.until(LIFETIME - 1);
  assert.equal(rig.packet(), 1, "until its lifetime ends");
  assert.deepEqual(rig.failed, []);
  assert.ok(rig.counters.get("builds-failed") > 20);
});

Deno.test("circuit pool: closes a circuit at the end of its lifetime, replaced or not", () => {
  const rig = open();
  rig.until(REPLACE_AT - 1).packet();
  rig.until(LIFETIME - 1).sent();
  rig.until(LIFETIME);
  assert.ok(rig.sent().includes("66 1"));
  assert.equal(rig.find(1), undefined);
  assert.equal(rig.packet(), "wait");
  assert.deepEqual(rig.failed, []);
  // The attempt continues.
  let building: Sent | undefined;
  while (building === undefined) {
    rig.until(rig.pool.deadline);
    building = rig.sentCells().find(({ type }) => type === EXTEND);
  }
  rig.build(building.id);
  assert.equal(rig.packet(), building.id);
});

Deno.test("circuit pool: continues the attempt when the old circuit closes", () => {
  const cases: [lifetime: number, started: number][] = [
    // Replacement starts at 4950, fails at 5450, and starts again at 5550, after the end at 5500.
    [5500, 5550],
    // Replacement starts at 9000 and again at 9600. The answer comes after the end at 10,000.
    [10_000, 9600],
  ];
  for (const [lifetime, started] of cases) {
    const rig = open({ limits: { lifetime } });
    rig.until(0.9 * lifetime - 1).packet();
    rig.until(started);
    const { id } = rig.sentCells().findLast(({ type }) => type === EXTEND)!;
    rig.until(Math.max(started, lifetime) + 1);
    assert.equal(rig.find(1), undefined);
    assert.equal(rig.packet(), "wait");
    rig.build(id);
    assert.equal(rig.packet(), id);
    assert.equal(rig.pool.deadline, rig.now + 0.9 * lifetime);
  }
});

Deno.test("circuit pool: closes a circuit unused in the second half of its lifetime", () => {
  const rig = open();
  rig.until(LIFETIME / 2).packet();
  rig.until(REPLACE_AT);
  assert.deepEqual(rig.sent(), ["66 1"]);
  assert.equal(rig.find(1), undefined);
  assert.equal(rig.pool.deadline, Infinity);
  assert.deepEqual(rig.failed, []);
  assert.equal(rig.packet(), "wait");

  const used = open();
  used.until(LIFETIME / 2 + 1).packet();
  used.until(REPLACE_AT);
  assert.deepEqual(used.sent(), ["52 2"]);
});

Deno.test("circuit pool: closes a circuit if nobody calls it until its lifetime is over", () => {
  const rig = open();
  rig.until(REPLACE_AT - 1).packet();
  rig.now = LIFETIME;
  rig.pool.expire(LIFETIME);
  assert.deepEqual(rig.sent(), ["66 1"]);
  assert.equal(rig.packet(), "wait");
});

Deno.test("circuit pool: replaces a circuit whose key has sealed its share of cells", () => {
  const routers = new Routers(4, "sealed");
  const rig = new Rig({ kind: "sealed", routers, hops: 1, limits: { cells: 3 } });
  /** Lets real routers answer the last cell. */
  const answer = () => {
    const { to, type, id, body } = rig.sentCells().at(-1)!;
    const [reply] = routers.send(to + 1, [cell(type, id, body)]);
    assert.equal(rig.pool.answer(to, id, poisoned(reply!), rig.now), undefined);
  };
  rig.packet();
  answer();
  for (let packet = 0; packet < 3; packet++) {
    assert.equal(rig.packet(), 1);
    assert.deepEqual(rig.sent(), []);
    rig.find(1)!.seal(poisoned(pattern(28)), CIRCUIT_KINDS.sealed.relay);
  }
  assert.equal(rig.packet(), 1, "still in use while the next one is built");
  assert.equal(rig.packet(), 1);
  answer();
  assert.equal(rig.packet(), 2);
  assert.equal(rig.pool.deadline, DRAINING);
});

Deno.test("circuit pool: gives each client a circuit", () => {
  const rig = new Rig();
  rig.packet(ALICE);
  rig.packet(BOB);
  assert.deepEqual(rig.sent(), ["52 1", "52 2"]);
  rig.build(2);
  assert.deepEqual([rig.packet(ALICE), rig.packet(BOB)], ["wait", 2]);
  rig.build(1);
  assert.deepEqual([rig.packet(ALICE), rig.packet(BOB)], [1, 2]);
  assert.deepEqual([rig.find(1)!.replyTo, rig.find(2)!.replyTo], [ALICE, BOB]);
});

Deno.test("circuit pool: refuses circuits above the limit, and accepts one when another is gone", () => {
  const rig = new Rig({ limits: { circuits: 1 } });
  rig.packet(ALICE);
  assert.equal(rig.packet(BOB), "full");
  rig.build(1);
  assert.equal(rig.packet(BOB), "full");
  rig.until(LIFETIME);
  assert.equal(rig.packet(BOB), "wait");
});

Deno.test("circuit pool: builds the first client's circuit before its first packet", () => {
  const rig = new Rig({ first: ALICE });
  assert.equal(rig.pool.deadline, -Infinity);
  rig.pool.expire(0);
  assert.deepEqual(rig.sent(), ["52 1"]);
  assert.equal(rig.pool.deadline, ANSWER);
  rig.build(1);
  assert.equal(rig.packet(), 1);
});

Deno.test("circuit pool: builds the first client's circuit only once", () => {
  const fast = new Rig({ first: ALICE });
  fast.packet(ALICE);
  fast.build(1).sent();
  fast.until(1000);
  assert.deepEqual(fast.sent(), []);
  assert.equal(fast.packet(), 1);

  const other = new Rig({ first: ALICE });
  other.packet(BOB);
  assert.equal(other.pool.deadline, -Infinity);
  other.pool.expire(0);
  assert.deepEqual(other.sent(), ["52 1", "52 2"]);
  other.build(1).build(2);
  assert.deepEqual([other.find(1)!.replyTo, other.find(2)!.replyTo], [BOB, ALICE]);
});

Deno.test("circuit pool: drops a cell that is not the expected answer", () => {
  const wrong: [what: string, type: number, body: string][] = [
    ["a packet", 0x54, "45"],
    ["an extend cell", EXTEND, ""],
    ["a created cell with a body", EXTEND_DONE, "00"],
    ["the created cell of a sealed circuit", 0x65, ""],
    ["the extended cell of a sealed circuit", 0x63, ""],
    ["a destroy cell", DESTROY, ""],
  ];
  for (const [what, type, body] of wrong) {
    const rig = new Rig();
    rig.packet();
    rig.sent();
    assert.equal(rig.hears(1, type, hex(body)), "unexpected-cell", what);
    assert.deepEqual(rig.sent(), [], what);
    assert.equal(rig.pool.deadline, ANSWER, what);
    rig.build(1);
    assert.equal(rig.packet(), 1, what);
  }
});

Deno.test("circuit pool: drops answers on circuits that are open or given up", () => {
  const rig = open();
  assert.equal(rig.hears(1), "unknown-circuit", "open: nothing is being built");
  rig.until(REPLACE_AT - 1).packet();
  rig.until(REPLACE_AT);
  assert.ok(rig.find(1), "the circuit that is being replaced");
  assert.ok(rig.isBuilding(2));
  rig.until(REPLACE_AT + ANSWER);
  assert.equal(rig.hears(2), "unknown-circuit", "given up");
  rig.until(REPLACE_AT + ANSWER + PAUSE).build(3);
  assert.ok(rig.find(1), "draining");
  assert.ok(rig.find(3));
});

Deno.test("circuit pool: tears down open, draining and half-built circuits", () => {
  const rig = open();
  rig.until(REPLACE_AT - 1).packet();
  rig.until(REPLACE_AT).build(2);
  rig.packet(BOB);
  rig.sent();
  rig.pool.closeAll();
  assert.deepEqual(rig.sent().toSorted(), ["66 1", "66 2", "66 3"]);
  assert.equal(rig.pool.deadline, Infinity);
  for (const id of [1, 2, 3]) assert.ok(!rig.find(id) && !rig.isBuilding(id));
});

Deno.test("circuit pool: tears down every circuit exactly once, in any order of events", () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("packet"), client: fc.integer({ min: 1, max: 3 }) }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("answer"), nth: fc.nat(5) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("wait"),
        ms: fc.oneof(fc.nat(1000), fc.constantFrom(5000, 9000, 30_000)),
      }),
    },
  ) as fc.Arbitrary<
    { kind: "packet"; client: IpAddress } | { kind: "answer"; nth: number } | { kind: "wait"; ms: number }
  >;
  const limits = { lifetime: 60_000, circuits: 2 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), fc.nat(), fc.boolean(), (steps, seed, hasFirst) => {
      const rig = new Rig({ seed, limits, ...(hasFirst && { first: addressFromBits(1) }) });
      const alive = new Set<number>();
      const look = () => {
        for (const { type, id } of rig.sentCells()) {
          if (type === DESTROY) assert.ok(alive.delete(id), `${id} was torn down twice, or never created`);
          else alive.add(id);
        }
        for (const id of alive) assert.ok(rig.find(id) || rig.isBuilding(id), `${id} is lost`);
        // Each of two clients has one open, one being built, and some draining.
        assert.ok(alive.size <= 6, `${alive.size} circuits`);
      };
      for (const step of steps) {
        if (step.kind === "packet") {
          const chosen = rig.packet(step.client);
          if (typeof chosen === "number") assert.equal(rig.find(chosen)?.replyTo, step.client);
        } else if (step.kind === "wait") rig.until(rig.now + step.ms);
        else {
          const id = [...alive][step.nth % alive.size];
          if (id !== undefined) rig.hears(id);
        }
        look();
      }
      rig.until(rig.now + 1e6);
      look();
      assert.deepEqual([...alive], []);
      assert.equal(rig.pool.deadline, Infinity);
      assert.equal(rig.counters.get("circuits-built"), rig.opened.length);
    }),
    { numRuns: 300 },
  );
});

Deno.test("circuit pool: has one open direct circuit for each router from the start", () => {
  const rig = new Rig({ kind: "direct", hops: 1, keyOf: () => 0 });
  assert.equal(rig.pool.deadline, Infinity);
  assert.equal(rig.packet(), 1);
  assert.equal(rig.packet(BOB), 1);
  for (const neighbour of [0, 1, 2, 3]) {
    const circuit = rig.pool.find(neighbour, neighbour + 1)!;
    assert.deepEqual([circuit.id, circuit.neighbour], [neighbour + 1, neighbour]);
  }
  assert.equal(rig.pool.find(0, 2), undefined, "another router's");
  assert.equal(rig.pool.find(0, 5), undefined);
});

Deno.test("circuit pool: never builds or tears down a direct circuit", () => {
  const rig = new Rig({ kind: "direct", hops: 1, keyOf: () => 2, first: ALICE });
  rig.pool.expire(1e9);
  assert.equal(rig.packet(), 3);
  const stray = poisoned(cell(EXTEND_DONE, 9, hex("")));
  assert.equal(rig.pool.answer(0, 9, stray, 0), "unknown-circuit");
  rig.pool.closeAll();
  assert.deepEqual(rig.sent(), [], "no router is told");
});

Deno.test("circuit pool: accepts any key, so one client can have several circuits", () => {
  const rig = new Rig({ keyOf: (packet) => `${formatIp(packet.source)} ${formatIp(packet.destination)}` });
  rig.packet(ALICE, "18.9.22.69");
  rig.packet(ALICE, "18.9.22.70");
  rig.build(1).build(2);
  assert.deepEqual([rig.packet(ALICE, "18.9.22.69"), rig.packet(ALICE, "18.9.22.70")], [1, 2]);
  assert.deepEqual(rig.opened.map(([key]) => key), ["10.0.2.15 18.9.22.69", "10.0.2.15 18.9.22.70"]);
  assert.deepEqual([rig.find(1)!.replyTo, rig.find(2)!.replyTo], [ALICE, ALICE], "answers go to the client");
});

Deno.test("circuit pool: closes the circuits through a lost router, and tells the others' first hops", () => {
  for (let seed = 0; seed < 20; seed++) {
    for (const hop of [0, 1]) {
      const rig = open({ seed });
      const path = routersOf(rig.log.events).map((router) => router - 1);
      rig.pool.replace(path[hop]!, undefined, 0);
      const cells = rig.sentCells();
      assert.ok(cells.every(({ to }) => to !== path[hop]), "nothing goes to the lost router");
      assert.deepEqual(cells.map(({ type, id }) => [type, id]), [
        ...hop === 0 ? [] : [[DESTROY, 1]],
        [EXTEND, 2],
      ]);
      assert.equal(rig.find(1), undefined);
      rig.build(2);
      assert.equal(rig.packet(), 2);
      assert.deepEqual([rig.counters.get("circuits-lost"), rig.failed], [1, []]);
    }
  }
});

Deno.test("circuit pool: closes draining circuits through a lost router", () => {
  let times = 0;
  for (let seed = 0; seed < 20; seed++) {
    const rig = open({ seed });
    rig.until(REPLACE_AT - 1).packet();
    rig.until(REPLACE_AT).build(2);
    const [one, two, ...next] = routersOf(rig.log.events).map((router) => router - 1);
    const victim = [one!, two!].find((router) => !next.includes(router));
    if (victim === undefined) continue;
    times++;
    assert.ok(rig.find(1) !== undefined);
    rig.pool.replace(victim, undefined, rig.now);
    assert.deepEqual([rig.find(1), rig.packet()], [undefined, 2]);
    rig.until(REPLACE_AT + DRAINING);
  }
  assert.ok(times > 5);
});

Deno.test("circuit pool: refuses packets while too few routers are left, in whatever state", () => {
  const lose = (rig: Rig, count: number) => {
    for (const router of [0, 1, 2, 3].slice(0, count)) rig.pool.replace(router, undefined, rig.now);
  };
  const building = new Rig();
  building.packet();
  lose(building, 3);
  assert.deepEqual([building.failed, building.packet()], [[ALICE], "unreachable"]);

  const pausing = new Rig();
  pausing.packet();
  pausing.until(ANSWER);
  lose(pausing, 3);
  assert.deepEqual(pausing.failed, [], "the pause goes on");
  pausing.until(ANSWER + PAUSE);
  assert.deepEqual([pausing.failed, pausing.packet()], [[ALICE], "unreachable"]);

  const opened = open();
  lose(opened, 3);
  assert.deepEqual([opened.failed, opened.packet()], [[ALICE], "unreachable"]);

  const expected = new Rig({ first: ALICE });
  lose(expected, 3);
  assert.equal(expected.pool.deadline, Infinity);
  assert.equal(expected.packet(), "unreachable");

  for (const rig of [building, pausing, opened, expected]) {
    rig.sent();
    rig.pool.replace(1, { link: LINKS[1]! }, rig.now);
    assert.equal(rig.packet(), "wait");
    const { id } = rig.sentCells().at(-1)!;
    assert.equal(rig.build(id).packet(), id);
  }
});

Deno.test("circuit pool: a pause that survives a loss builds along the routers that are left", () => {
  const rig = new Rig();
  rig.packet();
  rig.until(ANSWER).sent();
  rig.pool.replace(3, undefined, rig.now);
  rig.log.clear();
  rig.until(ANSWER + PAUSE);
  assert.deepEqual(rig.sent(), ["52 2"]);
  assert.ok(!routersOf(rig.log.events).includes(4));
});
