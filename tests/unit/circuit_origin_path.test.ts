import assert from "node:assert/strict";
import fc from "fast-check";
import { choosePath, routerFor } from "../../src/circuit/origin/path.ts";
import { address } from "../support/packets.ts";
import { Random } from "../support/random.ts";

function randomFrom(seed: number): () => number {
  const random = new Random(seed);
  return () => random.word() / 2 ** 32;
}

/** The first routers. */
function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** A number of routers, and a number of hops up to it. */
const anyNetwork = fc.integer({ min: 1, max: 12 }).chain((count) =>
  fc.record({ count: fc.constant(count), hops: fc.integer({ min: 1, max: count }), seed: fc.nat() })
);

Deno.test("path: has the wanted number of distinct routers", () => {
  fc.assert(fc.property(anyNetwork, ({ count, hops, seed }) => {
    const path = choosePath(upTo(count), hops, randomFrom(seed));
    assert.equal(path.length, hops);
    assert.equal(new Set(path).size, hops);
    assert.ok(path.every((router) => Number.isInteger(router) && router >= 0 && router < count));
  }));
});

Deno.test("path: all sequences are equally likely", () => {
  const [count, hops, draws] = [4, 3, 48_000];
  const random = randomFrom(1);
  const times = new Map<string, number>();
  for (let draw = 0; draw < draws; draw++) {
    const path = choosePath(upTo(count), hops, random).join();
    times.set(path, (times.get(path) ?? 0) + 1);
  }
  assert.equal(times.size, 4 * 3 * 2);
  // Chi squared with 23 degrees of freedom is above 49.7 once in a thousand.
  const expected = draws / times.size;
  const squared = [...times.values()].reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0);
  assert.ok(squared < 49.7, `chi squared is ${squared}`);
});

Deno.test("path: handles the smallest and the largest random number", () => {
  assert.deepEqual(choosePath(upTo(4), 4, () => 0), [0, 1, 2, 3]);
  assert.deepEqual(choosePath(upTo(4), 4, () => 1 - 2 ** -53), [3, 0, 1, 2]);
});

Deno.test("path: avoids a router if there are enough others", () => {
  fc.assert(fc.property(anyNetwork, fc.nat(), ({ count, hops, seed }, nth) => {
    const avoid = nth % count;
    const path = choosePath(upTo(count), hops, randomFrom(seed), avoid);
    assert.equal(new Set(path).size, hops);
    assert.equal(path.includes(avoid), hops === count);
  }));
});

Deno.test("path: assigns a destination to the router with that address, otherwise by its number", () => {
  const addresses = ["192.168.201.2", "192.168.202.2", "192.168.203.2", "192.168.204.2"].map(address);
  const cases: [destination: string, router: number][] = [
    ["192.168.201.2", 0],
    ["192.168.204.2", 3],
    // The last two bits of the address count.
    ["128.30.2.155", 3],
    ["128.30.2.156", 0],
    ["128.30.2.157", 1],
    ["255.255.255.254", 2],
  ];
  for (const [destination, router] of cases) {
    assert.equal(routerFor(address(destination), addresses), router, destination);
  }
  assert.equal(routerFor(address("128.30.2.156"), addresses.slice(0, 3)), 0x801e_029c % 3);
  assert.equal(
    routerFor(address("128.30.2.156"), [undefined]),
    0,
    "a single router gets every destination",
  );
});
