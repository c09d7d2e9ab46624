import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_PACKET } from "../../src/buffer/packet_buffer.ts";
import { fragmentIpv4, Ipv4View } from "../../src/ip/ipv4.ts";
import { Reassembler, REASSEMBLY_LIMITS, type ReassemblyLimits } from "../../src/ip/reassembly.ts";
import { concat, cutPlainly, hex, ipv4, type Ipv4Header, pattern, poisoned } from "../support/packets.ts";
import { Random } from "../support/random.ts";

/** A reassembler, and everything that came out of it. */
class Bench {
  readonly delivered: Uint8Array[] = [];
  readonly gaveUp: string[] = [];
  readonly reassembler: Reassembler;
  now = 0;
  readonly #ip = new Ipv4View();
  // One buffer for all, as on a link: a reassembler that kept a view of it would deliver garbage.
  readonly #buffer = poisoned();

  constructor(limits?: Partial<ReassemblyLimits>) {
    this.reassembler = new Reassembler(
      (reason) => this.gaveUp.push(reason),
      { ...REASSEMBLY_LIMITS, ...limits },
    );
  }

  add(...fragments: readonly Uint8Array[]): void {
    this.addTo(undefined, ...fragments);
  }

  /** The same, by one way of several. */
  addTo(flow: number | undefined, ...fragments: readonly Uint8Array[]): void {
    for (const fragment of fragments) {
      this.#buffer.bytes.fill(0xa5);
      this.#buffer.load(fragment);
      assert.equal(this.#ip.wrap(this.#buffer), undefined);
      const whole = this.reassembler.add(this.#buffer, this.#ip, this.now, flow);
      if (whole !== undefined) this.delivered.push(whole.copy());
    }
  }

  /** Lets everything that still waits run out of time, and counts it. */
  waiting(): number {
    const before = this.gaveUp.length;
    this.reassembler.expire(Infinity);
    return this.gaveUp.splice(before).length;
  }
}

const HEADER: Partial<Ipv4Header> = { id: 111, ttl: 123, protocol: 1 };

/** Three fragments of 16, 16 and 8 bytes, and the datagram that they are. */
const DATA = pattern(40);
const WHOLE = ipv4(HEADER, DATA);
const [FIRST, MIDDLE, LAST] = cutPlainly(HEADER, DATA, 16) as [Uint8Array, Uint8Array, Uint8Array];

Deno.test("golden: the fragments of RFC 791 appendix A, example 2, are its datagram again", () => {
  const data = pattern(452);
  const header = { ...HEADER, protocol: 6 };
  const bench = new Bench();
  bench.add(ipv4({ ...header, moreFragments: true, offset: 0 }, data.subarray(0, 256)));
  assert.deepEqual(bench.delivered, []);
  bench.add(ipv4({ ...header, offset: 256 }, data.subarray(256)));
  assert.deepEqual(bench.delivered, [ipv4(header, data)]);
  assert.equal(bench.waiting(), 0);
});

Deno.test("in any order", () => {
  const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
  for (const order of orders) {
    const bench = new Bench();
    bench.add(...order.map((index) => [FIRST, MIDDLE, LAST][index]!));
    assert.deepEqual(bench.delivered, [WHOLE], order.join());
    assert.equal(bench.waiting(), 0);
  }
});

Deno.test("the header is the first fragment's, whichever comes first (RFC 791 §3.2), without its options", () => {
  const options = hex("94040000");
  const first = ipv4({ ...HEADER, tos: 0x2e, ttl: 50, options, moreFragments: true }, DATA.subarray(0, 16));
  const last = ipv4({ ...HEADER, tos: 0, ttl: 49, offset: 16 }, DATA.subarray(16));
  for (const order of [[first, last], [last, first]]) {
    const bench = new Bench();
    bench.add(...order);
    assert.deepEqual(bench.delivered, [ipv4({ ...HEADER, tos: 0x2e, ttl: 50 }, DATA)]);
  }
});

Deno.test("headers of different lengths do not shift the data", () => {
  for (const [firstWords, lastWords] of [[0, 10], [10, 0], [3, 7]] as const) {
    const bench = new Bench();
    const padding = (words: number) => new Uint8Array(4 * words).fill(1);
    bench.add(
      ipv4({ ...HEADER, options: padding(lastWords), offset: 16 }, DATA.subarray(16)),
      ipv4({ ...HEADER, options: padding(firstWords), moreFragments: true }, DATA.subarray(0, 16)),
    );
    assert.deepEqual(bench.delivered, [WHOLE]);
  }
});

Deno.test("the longest datagram, 65,535 bytes, in the fewest and in the most pieces", () => {
  const data = pattern(MAX_PACKET - 20);
  for (const step of [65_512, 8]) {
    const bench = new Bench();
    bench.add(...cutPlainly(HEADER, data, step));
    assert.equal(bench.delivered.length, 1);
    assert.deepEqual(bench.delivered[0], ipv4(HEADER, data));
  }
});

Deno.test("any datagram with any options, over any MTU, in any order and with duplicates, comes out the same", () => {
  const size = fc.oneof({ weight: 4, arbitrary: fc.nat(3000) }, fc.constant(MAX_PACKET - 60));
  fc.assert(
    fc.property(
      size,
      fc.integer({ min: 68, max: 1500 }),
      fc.integer({ min: 0, max: 10 }),
      fc.integer(),
      (length, mtu, optionWords, seed) => {
        const random = new Random(seed);
        const header = { ...HEADER, tos: random.below(256), id: random.below(65_536) };
        const data = pattern(length, seed);
        // A long option that is copied: every fragment's header is as long as the first's.
        const options = new Uint8Array(4 * optionWords);
        options.set(optionWords > 0 ? [0x94, 4 * optionWords] : []);
        const buffer = poisoned(ipv4({ ...header, options }, data));
        const fragments: Uint8Array[] = [];
        fragmentIpv4(buffer, mtu, () => fragments.push(buffer.copy()));
        if (fragments.length === 1) return;
        // The duplicates come before the last piece: one that comes later begins a datagram of its own.
        const [last, ...others] = random.shuffle(fragments);
        const duplicates = others.filter(() => random.oneIn(3));
        const bench = new Bench();
        bench.add(...random.shuffle([...others, ...duplicates]), last!);
        assert.deepEqual(bench.delivered, [ipv4(header, data)]);
        assert.deepEqual(bench.gaveUp, []);
        assert.equal(bench.waiting(), 0);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("a datagram's buffer is used again, and nothing of the one before it shines through", () => {
  const bench = new Bench();
  bench.add(...cutPlainly(HEADER, new Uint8Array(400).fill(0xff), 80));
  bench.add(FIRST, MIDDLE, LAST);
  assert.deepEqual(bench.delivered[1], WHOLE);
  // And a hole is a hole, though the buffer has bytes there from before.
  bench.add(FIRST, LAST);
  assert.equal(bench.delivered.length, 2);
  assert.equal(bench.waiting(), 1);
});

Deno.test("fragments belong together by source, destination, protocol and identification, and by all four", () => {
  const others: Partial<Ipv4Header>[] = [
    { ...HEADER, id: 112 },
    { ...HEADER, source: "10.5.51.3" },
    { ...HEADER, destination: "10.5.51.8" },
    { ...HEADER, protocol: 17 },
  ];
  const bench = new Bench();
  bench.add(FIRST, MIDDLE);
  for (const other of others) bench.add(cutPlainly(other, DATA, 16)[2]!);
  assert.deepEqual(bench.delivered, []);
  bench.add(LAST);
  assert.deepEqual(bench.delivered, [WHOLE]);
  assert.equal(bench.waiting(), others.length);
});

Deno.test("many datagrams at a time, their fragments mixed, are all delivered once", () => {
  const random = new Random(5);
  const datagrams = Array.from(
    { length: 60 },
    (_, id) => ({ header: { ...HEADER, id }, data: pattern(1000, id) }),
  );
  const bench = new Bench();
  bench.add(...random.shuffle(datagrams.flatMap(({ header, data }) => cutPlainly(header, data, 128))));
  const byId = bench.delivered.sort((a, b) => a[5]! - b[5]!);
  assert.deepEqual(byId, datagrams.map(({ header, data }) => ipv4(header, data)));
  assert.deepEqual(bench.gaveUp, []);
});

Deno.test("fragments that contradict each other make their datagram void, in either order", () => {
  const damaged = (fragment: Uint8Array) => {
    const copy = fragment.slice();
    copy[copy.length - 1]! ^= 1;
    return copy;
  };
  const more = { ...HEADER, moreFragments: true };
  const cases: [what: string, fragment: Uint8Array, other: Uint8Array][] = [
    ["the same place, other bytes", MIDDLE, damaged(MIDDLE)],
    ["the last one twice, other bytes", LAST, damaged(LAST)],
    // "Teardrop": the second begins inside the first.
    ["a partial overlap", FIRST, ipv4({ ...more, offset: 8 }, DATA.subarray(8, 24))],
    [
      "a partial overlap of zeros, which an unused buffer holds anyway",
      ipv4(more, new Uint8Array(16)),
      ipv4({ ...more, offset: 8 }, new Uint8Array(16)),
    ],
    ["a partial overlap behind", MIDDLE, ipv4({ ...more, offset: 8 }, DATA.subarray(8, 24))],
    ["two ends", LAST, ipv4({ ...HEADER, offset: 24 }, DATA.subarray(24, 32))],
    ["two ends in one block", LAST, ipv4({ ...HEADER, offset: 32 }, DATA.subarray(32, 37))],
    ["data beyond the end", LAST, ipv4({ ...more, offset: 48 }, pattern(8))],
    ["more to come where the end is", LAST, ipv4({ ...more, offset: 32 }, DATA.subarray(32))],
    ["the end where more is to come", ipv4({ ...more, offset: 16 }, DATA.subarray(16)), LAST],
    [
      "more to come behind an end inside its last block",
      ipv4({ ...HEADER, offset: 32 }, DATA.subarray(32, 36)),
      ipv4({ ...more, offset: 32 }, concat(DATA.subarray(32, 36), new Uint8Array(4))),
    ],
  ];
  for (const [what, fragment, other] of cases) {
    for (const order of [[fragment, other], [other, fragment]]) {
      const bench = new Bench();
      bench.add(...order);
      assert.deepEqual(bench.gaveUp, ["fragment-overlap"], what);
      assert.equal(bench.waiting(), 0, what);
    }
  }
});

Deno.test("a piece of what has come already, byte for byte the same, is a duplicate and changes nothing", () => {
  const bench = new Bench();
  bench.add(FIRST, FIRST, ipv4({ ...HEADER, moreFragments: true, offset: 8 }, DATA.subarray(8, 16)));
  bench.add(LAST, LAST, MIDDLE);
  assert.deepEqual(bench.delivered, [WHOLE]);
  assert.deepEqual(bench.gaveUp, []);
});

Deno.test("a fragment that contradicts, slipped in anywhere, never gets its bytes delivered", () => {
  fc.assert(fc.property(
    fc.integer({ min: 9, max: 1000 }),
    fc.integer({ min: 1, max: 8 }).map((eighths) => eighths * 8),
    fc.integer(),
    (length, step, seed) => {
      const random = new Random(seed);
      const data = pattern(length);
      const fragments = random.shuffle(cutPlainly(HEADER, data, step));
      if (fragments.length === 1) return;
      // Of the one that comes last there is no telling which of two is the right one.
      const evil = random.pick(fragments.slice(0, -1)).slice();
      evil[20 + random.below(evil.length - 20)]! ^= 1 + random.below(255);
      const bench = new Bench();
      bench.add(...fragments.toSpliced(random.below(fragments.length), 0, evil));
      assert.deepEqual(bench.gaveUp, ["fragment-overlap"]);
      assert.deepEqual(bench.delivered, []);
    },
  ));
});

Deno.test("no more datagrams at a time than allowed: the oldest goes", () => {
  const bench = new Bench({ datagrams: 3 });
  const fragmentsOf = (id: number) =>
    cutPlainly({ ...HEADER, id }, DATA, 16) as [Uint8Array, ...Uint8Array[]];
  for (let id = 1; id <= 4; id++) bench.add(fragmentsOf(id)[0]);
  assert.deepEqual(bench.gaveUp, ["reassembly-full"]);
  for (let id = 2; id <= 4; id++) bench.add(...fragmentsOf(id).slice(1));
  assert.equal(bench.delivered.length, 3);
  // Of the first one's rest alone nothing comes.
  bench.add(...fragmentsOf(1).slice(1));
  assert.equal(bench.delivered.length, 3);
  assert.equal(bench.waiting(), 1);
});

Deno.test("no more memory than allowed: a datagram is reckoned at its longest, and one is always possible", () => {
  const cases: [memory: number, atATime: number][] = [
    [0, 1],
    [MAX_PACKET, 1],
    [2 * MAX_PACKET - 1, 1],
    [2 * MAX_PACKET, 2],
    [REASSEMBLY_LIMITS.memory, 64],
  ];
  for (const [memory, atATime] of cases) {
    const bench = new Bench({ memory, datagrams: 1000 });
    for (let id = 0; id < 100; id++) bench.add(cutPlainly({ ...HEADER, id }, DATA, 16)[0]!);
    assert.equal(bench.waiting(), atATime, `${memory} bytes`);
    assert.deepEqual(bench.gaveUp, new Array(100 - atATime).fill("reassembly-full"));
  }
});

Deno.test("time: a datagram has its lifetime from its first fragment on, and each is given up on its own", () => {
  const bench = new Bench({ lifetime: 30_000 });
  assert.equal(bench.reassembler.deadline, Infinity);
  bench.now = 1000;
  bench.add(FIRST);
  bench.now = 5000;
  bench.add(cutPlainly({ ...HEADER, id: 112 }, DATA, 16)[0]!);
  bench.add(MIDDLE); // which does not prolong it
  assert.equal(bench.reassembler.deadline, 31_000);
  bench.reassembler.expire(30_999);
  assert.deepEqual(bench.gaveUp, []);
  bench.reassembler.expire(31_000);
  assert.deepEqual(bench.gaveUp, ["reassembly-timeout"]);
  assert.equal(bench.reassembler.deadline, 35_000);
  bench.reassembler.expire(35_000);
  assert.deepEqual(bench.gaveUp, ["reassembly-timeout", "reassembly-timeout"]);
  assert.equal(bench.reassembler.deadline, Infinity);
});

/** Reassembly as slow and plain as can be, byte by byte, and without anything that makes it fast. */
class PlainReassembler {
  #waiting: { id: number; deadline: number; bytes: Map<number, number>; moreAt: number; end?: number }[] = [];

  constructor(readonly datagrams: number, readonly lifetime: number) {}

  /** What comes of a fragment: reasons for datagrams that were given up, and the payload that is whole now. */
  add(id: number, offset: number, data: Uint8Array, more: boolean, now: number): (string | Uint8Array)[] {
    const outcome: (string | Uint8Array)[] = [];
    let datagram = this.#waiting.find((waiting) => waiting.id === id);
    if (datagram === undefined) {
      if (this.#waiting.length === this.datagrams) {
        this.#waiting.shift();
        outcome.push("reassembly-full");
      }
      datagram = { id, deadline: now + this.lifetime, bytes: new Map(), moreAt: 0 };
      this.#waiting.push(datagram);
    }
    const { bytes, moreAt, end } = datagram;
    const behind = offset + data.length;
    const endsAgree = more
      ? end === undefined || behind < end
      : end === undefined
      ? moreAt < behind
      : behind === end;
    const known = [...data.keys()].filter((index) => bytes.has(offset + index));
    const isDuplicate = known.length === data.length &&
      known.every((index) => bytes.get(offset + index) === data[index]);
    if (!endsAgree || (known.length > 0 && !isDuplicate)) {
      this.#waiting = this.#waiting.filter((waiting) => waiting !== datagram);
      outcome.push("fragment-overlap");
      return outcome;
    }
    data.forEach((byte, index) => bytes.set(offset + index, byte));
    if (more) datagram.moreAt = Math.max(moreAt, behind);
    else datagram.end = behind;
    if (bytes.size === datagram.end) {
      this.#waiting = this.#waiting.filter((waiting) => waiting !== datagram);
      outcome.push(Uint8Array.from({ length: datagram.end }, (_, at) => bytes.get(at)!));
    }
    return outcome;
  }

  expire(now: number): string[] {
    const late = this.#waiting.filter((waiting) => waiting.deadline <= now);
    this.#waiting = this.#waiting.filter((waiting) => waiting.deadline > now);
    return late.map(() => "reassembly-timeout");
  }

  get deadline(): number {
    return this.#waiting[0]?.deadline ?? Infinity;
  }
}

Deno.test("exact accounting: whatever comes, what a slow and plain reassembler says happens, and nothing else", () => {
  const fragment = fc.record({
    id: fc.nat(3),
    offset: fc.nat(4).map((blocks) => 8 * blocks),
    length: fc.oneof(fc.constant(8), fc.integer({ min: 1, max: 24 })),
    more: fc.boolean(),
    isDamaged: fc.integer({ min: 0, max: 9 }).map((die) => die === 0),
    pause: fc.nat(30),
  });
  fc.assert(
    fc.property(
      fc.array(fragment, { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      (fragments, datagrams) => {
        const bench = new Bench({ datagrams, lifetime: 100 });
        const plain = new PlainReassembler(datagrams, 100);
        for (const { id, offset, length, more, isDamaged, pause } of fragments) {
          bench.now += pause;
          bench.reassembler.expire(bench.now);
          assert.deepEqual(bench.gaveUp.splice(0), plain.expire(bench.now));

          const data = pattern(64, id).slice(offset, offset + (more ? Math.ceil(length / 8) * 8 : length));
          if (isDamaged) data[0]! ^= 0x80;
          if (!more && offset === 0) continue; // no fragment
          bench.add(ipv4({ ...HEADER, id, offset, moreFragments: more }, data));
          const want = plain.add(id, offset, data, more, bench.now)
            .map((what) => typeof what === "string" ? what : ipv4({ ...HEADER, id }, what));
          assert.deepEqual([...bench.gaveUp.splice(0), ...bench.delivered.splice(0)], want);
          assert.equal(bench.reassembler.deadline, plain.deadline);
        }
        assert.equal(bench.waiting(), plain.expire(Infinity).length);
      },
    ),
    { numRuns: 1000 },
  );
});

Deno.test("fragments that look alike but came by different ways are never put together", () => {
  const bench = new Bench();
  bench.addTo(1, FIRST, MIDDLE);
  bench.addTo(2, LAST);
  bench.addTo(3, FIRST, LAST);
  assert.deepEqual(bench.delivered, []);
  bench.addTo(2, FIRST, MIDDLE);
  assert.deepEqual(bench.delivered, [WHOLE]);
  bench.addTo(1, LAST);
  assert.deepEqual(bench.delivered, [WHOLE, WHOLE]);
  assert.equal(bench.waiting(), 1);
});

Deno.test("contradictions by different ways are none", () => {
  const bench = new Bench();
  const other = FIRST.slice();
  other[20]! ^= 1;
  bench.addTo(1, FIRST);
  bench.addTo(2, other);
  assert.deepEqual(bench.gaveUp, []);
});
