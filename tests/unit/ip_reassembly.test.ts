import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_PACKET } from "../../src/buffer/packet_buffer.ts";
import { fragmentIpv4, Ipv4View } from "../../src/ip/ipv4.ts";
import { Reassembler, REASSEMBLY_LIMITS, type ReassemblyLimits } from "../../src/ip/reassembly.ts";
import { concat, cutPlainly, hex, ipv4, type Ipv4Header, pattern, poisoned } from "../support/packets.ts";
import { Random } from "../support/random.ts";

/** A reassembler, and all its results. */
class Bench {
  readonly delivered: Uint8Array[] = [];
  readonly gaveUp: string[] = [];
  readonly reassembler: Reassembler;
  now = 0;
  readonly #ip = new Ipv4View();
  // One buffer for all, as on a link, so a reassembler that kept a view of it would fail.
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

  /** Adds fragments of one flow. */
  addTo(flow: number | undefined, ...fragments: readonly Uint8Array[]): void {
    for (const fragment of fragments) {
      this.#buffer.bytes.fill(0xa5);
      this.#buffer.load(fragment);
      assert.equal(this.#ip.wrap(this.#buffer), undefined);
      const whole = this.reassembler.add(this.#buffer, this.#ip, this.now, flow);
      if (whole !== undefined) this.delivered.push(whole.copy());
    }
  }

  /** Times out all incomplete datagrams, and counts them. */
  waiting(): number {
    const before = this.gaveUp.length;
    this.reassembler.expire(Infinity);
    return this.gaveUp.splice(before).length;
  }
}

const HEADER: Partial<Ipv4Header> = { id: 111, ttl: 123, protocol: 1 };

/** A datagram, and its three fragments of 16, 16, and 8 bytes. */
const DATA = pattern(40);
const WHOLE = ipv4(HEADER, DATA);
const [FIRST, MIDDLE, LAST] = cutPlainly(HEADER, DATA, 16) as [Uint8Array, Uint8Array, Uint8Array];

Deno.test("reassembly: joins the fragments of RFC 791 appendix A, example 2", () => {
  const data = pattern(452);
  const header = { ...HEADER, protocol: 6 };
  const bench = new Bench();
  bench.add(ipv4({ ...header, moreFragments: true, offset: 0 }, data.subarray(0, 256)));
  assert.deepEqual(bench.delivered, []);
  bench.add(ipv4({ ...header, offset: 256 }, data.subarray(256)));
  assert.deepEqual(bench.delivered, [ipv4(header, data)]);
  assert.equal(bench.waiting(), 0);
});

Deno.test("reassembly: joins fragments in any order", () => {
  const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
  for (const order of orders) {
    const bench = new Bench();
    bench.add(...order.map((index) => [FIRST, MIDDLE, LAST][index]!));
    assert.deepEqual(bench.delivered, [WHOLE], order.join());
    assert.equal(bench.waiting(), 0);
  }
});

Deno.test("reassembly: takes the header of the first fragment (RFC 791 §3.2), without options", () => {
  const options = hex("94040000");
  const first = ipv4({ ...HEADER, tos: 0x2e, ttl: 50, options, moreFragments: true }, DATA.subarray(0, 16));
  const last = ipv4({ ...HEADER, tos: 0, ttl: 49, offset: 16 }, DATA.subarray(16));
  for (const order of [[first, last], [last, first]]) {
    const bench = new Bench();
    bench.add(...order);
    assert.deepEqual(bench.delivered, [ipv4({ ...HEADER, tos: 0x2e, ttl: 50 }, DATA)]);
  }
});

Deno.test("reassembly: joins fragments whose headers differ in length", () => {
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

Deno.test("reassembly: joins the longest datagram, of few fragments or of many", () => {
  const data = pattern(MAX_PACKET - 20);
  for (const step of [65_512, 8]) {
    const bench = new Bench();
    bench.add(...cutPlainly(HEADER, data, step));
    assert.equal(bench.delivered.length, 1);
    assert.deepEqual(bench.delivered[0], ipv4(HEADER, data));
  }
});

Deno.test("reassembly: restores any datagram, in any order and with duplicates", () => {
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
        // A copied option, so all headers have the same length.
        const options = new Uint8Array(4 * optionWords);
        options.set(optionWords > 0 ? [0x94, 4 * optionWords] : []);
        const buffer = poisoned(ipv4({ ...header, options }, data));
        const fragments: Uint8Array[] = [];
        fragmentIpv4(buffer, mtu, () => fragments.push(buffer.copy()));
        if (fragments.length === 1) return;
        // Duplicates precede the last fragment, because a later one starts a new datagram.
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

Deno.test("reassembly: reuses buffers without leaking an earlier datagram", () => {
  const bench = new Bench();
  bench.add(...cutPlainly(HEADER, new Uint8Array(400).fill(0xff), 80));
  bench.add(FIRST, MIDDLE, LAST);
  assert.deepEqual(bench.delivered[1], WHOLE);
  // A hole stays a hole, although the buffer has old bytes there.
  bench.add(FIRST, LAST);
  assert.equal(bench.delivered.length, 2);
  assert.equal(bench.waiting(), 1);
});

Deno.test("reassembly: matches fragments by source, destination, protocol, and identification", () => {
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

Deno.test("reassembly: delivers each of many interleaved datagrams once", () => {
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

Deno.test("reassembly: drops a datagram whose fragments contradict each other", () => {
  const damaged = (fragment: Uint8Array) => {
    const copy = fragment.slice();
    copy[copy.length - 1]! ^= 1;
    return copy;
  };
  const more = { ...HEADER, moreFragments: true };
  const cases: [what: string, fragment: Uint8Array, other: Uint8Array][] = [
    ["the same range, different bytes", MIDDLE, damaged(MIDDLE)],
    ["the last fragment twice, different bytes", LAST, damaged(LAST)],
    // "Teardrop": the second begins inside the first.
    ["a partial overlap", FIRST, ipv4({ ...more, offset: 8 }, DATA.subarray(8, 24))],
    [
      "a partial overlap of zeros, as in an unused buffer",
      ipv4(more, new Uint8Array(16)),
      ipv4({ ...more, offset: 8 }, new Uint8Array(16)),
    ],
    ["a partial overlap behind", MIDDLE, ipv4({ ...more, offset: 8 }, DATA.subarray(8, 24))],
    ["two ends", LAST, ipv4({ ...HEADER, offset: 24 }, DATA.subarray(24, 32))],
    ["two ends in one block", LAST, ipv4({ ...HEADER, offset: 32 }, DATA.subarray(32, 37))],
    ["data behind the end", LAST, ipv4({ ...more, offset: 48 }, pattern(8))],
    ["more fragments after the end", LAST, ipv4({ ...more, offset: 32 }, DATA.subarray(32))],
    ["the end before more fragments", ipv4({ ...more, offset: 16 }, DATA.subarray(16)), LAST],
    [
      "more fragments after an end in mid-block",
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

Deno.test("reassembly: ignores an exact duplicate", () => {
  const bench = new Bench();
  bench.add(FIRST, FIRST, ipv4({ ...HEADER, moreFragments: true, offset: 8 }, DATA.subarray(8, 16)));
  bench.add(LAST, LAST, MIDDLE);
  assert.deepEqual(bench.delivered, [WHOLE]);
  assert.deepEqual(bench.gaveUp, []);
});

Deno.test("reassembly: never delivers the bytes of a contradicting fragment", () => {
  fc.assert(fc.property(
    fc.integer({ min: 9, max: 1000 }),
    fc.integer({ min: 1, max: 8 }).map((eighths) => eighths * 8),
    fc.integer(),
    (length, step, seed) => {
      const random = new Random(seed);
      const data = pattern(length);
      const fragments = random.shuffle(cutPlainly(HEADER, data, step));
      if (fragments.length === 1) return;
      // Nothing tells which is right of the last fragment and its copy, so that one is left out.
      const evil = random.pick(fragments.slice(0, -1)).slice();
      evil[20 + random.below(evil.length - 20)]! ^= 1 + random.below(255);
      const bench = new Bench();
      bench.add(...fragments.toSpliced(random.below(fragments.length), 0, evil));
      assert.deepEqual(bench.gaveUp, ["fragment-overlap"]);
      assert.deepEqual(bench.delivered, []);
    },
  ));
});

Deno.test("reassembly: drops the oldest datagram beyond the max number", () => {
  const bench = new Bench({ datagrams: 3 });
  const fragmentsOf = (id: number) =>
    cutPlainly({ ...HEADER, id }, DATA, 16) as [Uint8Array, ...Uint8Array[]];
  for (let id = 1; id <= 4; id++) bench.add(fragmentsOf(id)[0]);
  assert.deepEqual(bench.gaveUp, ["reassembly-full"]);
  for (let id = 2; id <= 4; id++) bench.add(...fragmentsOf(id).slice(1));
  assert.equal(bench.delivered.length, 3);
  // The rest of the first datagram is not enough.
  bench.add(...fragmentsOf(1).slice(1));
  assert.equal(bench.delivered.length, 3);
  assert.equal(bench.waiting(), 1);
});

Deno.test("reassembly: stays within its memory, but always holds one datagram", () => {
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

Deno.test("reassembly: drops each datagram at its own deadline", () => {
  const bench = new Bench({ lifetime: 30_000 });
  assert.equal(bench.reassembler.deadline, Infinity);
  bench.now = 1000;
  bench.add(FIRST);
  bench.now = 5000;
  bench.add(cutPlainly({ ...HEADER, id: 112 }, DATA, 16)[0]!);
  bench.add(MIDDLE); // does not extend the deadline
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

/** A slow and plain reassembler, byte by byte. */
class PlainReassembler {
  #waiting: { id: number; deadline: number; bytes: Map<number, number>; moreAt: number; end?: number }[] = [];

  constructor(readonly datagrams: number, readonly lifetime: number) {}

  /** The results of a fragment: reasons for dropped datagrams, and a complete payload. */
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

Deno.test("reassembly: agrees with a plain reassembler on every fragment", () => {
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

Deno.test("reassembly: never joins fragments of different flows", () => {
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

Deno.test("reassembly: accepts contradicting fragments of different flows", () => {
  const bench = new Bench();
  const other = FIRST.slice();
  other[20]! ^= 1;
  bench.addTo(1, FIRST);
  bench.addTo(2, other);
  assert.deepEqual(bench.gaveUp, []);
});
