import assert from "node:assert/strict";
import fc from "fast-check";
import { addressBits, addressFromBits, formatIp } from "../../src/ip/address.ts";
import {
  addressAt,
  broadcast,
  type Cidr,
  contains,
  EVERYWHERE,
  formatCidr,
  isHostOf,
  network,
  overlaps,
  parseCidr,
} from "../../src/ip/cidr.ts";
import { address } from "../support/packets.ts";

function cidr(text: string): Cidr {
  const [host, prefix] = text.split("/") as [string, string];
  return { address: address(host), prefix: Number(prefix) };
}

/** The first and the last address of a block, as numbers. */
function rangeOf(block: Cidr): [first: number, last: number] {
  return [addressBits(network(block)), addressBits(broadcast(block))];
}

const anyAddress = fc.integer({ min: 0, max: 0xffff_ffff }).map(addressFromBits);
const anyCidr = fc.record({ address: anyAddress, prefix: fc.integer({ min: 0, max: 32 }) });

Deno.test("cidr: computes the first and the last address", () => {
  const cases: [block: string, first: string, last: string][] = [
    ["10.5.51.2/24", "10.5.51.0", "10.5.51.255"],
    ["10.5.51.2/32", "10.5.51.2", "10.5.51.2"],
    ["10.5.51.2/31", "10.5.51.2", "10.5.51.3"],
    ["172.16.5.9/12", "172.16.0.0", "172.31.255.255"],
    ["200.0.0.1/1", "128.0.0.0", "255.255.255.255"],
    ["200.0.0.1/0", "0.0.0.0", "255.255.255.255"],
  ];
  for (const [text, first, last] of cases) {
    const block = cidr(text);
    assert.equal(formatIp(network(block)), first, text);
    assert.equal(formatIp(broadcast(block)), last, text);
  }
});

Deno.test("isHostOf: excludes the first and the last address, except in a /31 or /32 (RFC 3021)", () => {
  const cases: [block: string, hosts: string[], others: string[]][] = [
    ["10.5.51.2/24", ["10.5.51.1", "10.5.51.254"], ["10.5.51.0", "10.5.51.255", "10.5.50.7", "10.5.52.7"]],
    ["10.5.51.2/30", ["10.5.51.1", "10.5.51.2"], ["10.5.51.0", "10.5.51.3", "10.5.51.4"]],
    ["10.5.51.2/31", ["10.5.51.2", "10.5.51.3"], ["10.5.51.1", "10.5.51.4"]],
    ["10.5.51.2/32", ["10.5.51.2"], ["10.5.51.1", "10.5.51.3"]],
    ["10.5.51.2/0", ["0.0.0.1", "255.255.255.254"], ["0.0.0.0", "255.255.255.255"]],
  ];
  for (const [block, hosts, others] of cases) {
    for (const host of hosts) assert.ok(isHostOf(cidr(block), address(host)), `${host} in ${block}`);
    for (const other of others) assert.ok(!isHostOf(cidr(block), address(other)), `${other} in ${block}`);
  }
});

Deno.test("contains: accepts every address from the first to the last", () => {
  fc.assert(fc.property(anyCidr, anyAddress, (block, address) => {
    const [first, last] = rangeOf(block);
    const at = addressBits(address);
    const inside = first <= at && at <= last;
    assert.equal(contains(block, address), inside);
    assert.equal(last - first + 1, 2 ** (32 - block.prefix));
    assert.ok(contains(block, block.address));
  }));
});

Deno.test("overlaps: is true exactly if two ranges share an address", () => {
  const near = fc.tuple(anyCidr, anyCidr, fc.boolean()).map(([a, b, close]) =>
    [
      a,
      close
        ? { ...b, address: addressFromBits((addressBits(a.address) ^ (addressBits(b.address) & 0xff)) >>> 0) }
        : b,
    ] as const
  );
  fc.assert(fc.property(near, ([a, b]) => {
    const meet = rangeOf(a)[0] <= rangeOf(b)[1] && rangeOf(b)[0] <= rangeOf(a)[1];
    assert.equal(overlaps(a, b), meet);
    assert.equal(overlaps(b, a), meet);
  }));
});

Deno.test("parseCidr: accepts an address, a slash, and a prefix length", () => {
  assert.deepEqual(parseCidr("10.5.51.2/24"), { address: address("10.5.51.2"), prefix: 24 });
  assert.deepEqual(parseCidr("0.0.0.0/0"), EVERYWHERE);
  for (
    const text of [
      "",
      "/24",
      "10.5.51.2",
      "10.5.51.2/",
      "10.5.51.2/33",
      "10.5.51.2/024",
      "10.5.51.2/24/8",
      "10.5.51.2/-1",
    ]
  ) assert.equal(parseCidr(text), undefined, JSON.stringify(text));
});

Deno.test("parseCidr: reads what formatCidr writes", () => {
  fc.assert(fc.property(anyCidr, (block) => {
    assert.deepEqual({ ...parseCidr(formatCidr(block)) }, { ...block });
  }));
});

Deno.test("addressAt: counts from the first address, and below 0 from the last", () => {
  const places: [block: string, place: number, address: string][] = [
    ["10.5.51.2/24", 0, "10.5.51.0"],
    ["10.5.51.2/24", 1, "10.5.51.1"],
    ["10.5.51.2/24", -1, "10.5.51.255"],
    ["10.5.51.2/24", -2, "10.5.51.254"],
    ["200.0.0.1/1", 1, "128.0.0.1"],
    ["200.0.0.1/0", -1, "255.255.255.255"],
  ];
  for (const [block, place, want] of places) {
    assert.equal(formatIp(addressAt(cidr(block), place)), want, `${block} at ${place}`);
  }
});
