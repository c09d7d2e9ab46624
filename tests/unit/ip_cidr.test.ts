import assert from "node:assert/strict";
import fc from "fast-check";
import { broadcast, type Cidr, contains, isHostOf, netmask, network, overlaps } from "../../src/ip/cidr.ts";
import { formatIpv4 } from "../../src/ip/ipv4.ts";
import { address } from "../support/packets.ts";

function cidr(text: string): Cidr {
  const [host, prefix] = text.split("/") as [string, string];
  return { address: address(host), prefix: Number(prefix) };
}

const anyAddress = fc.integer({ min: 0, max: 0xffff_ffff });
const anyCidr = fc.record({ address: anyAddress, prefix: fc.integer({ min: 0, max: 32 }) });

Deno.test("the first, the last and the mask of a block", () => {
  const cases: [block: string, mask: string, first: string, last: string][] = [
    ["10.5.51.2/24", "255.255.255.0", "10.5.51.0", "10.5.51.255"],
    ["10.5.51.2/32", "255.255.255.255", "10.5.51.2", "10.5.51.2"],
    ["10.5.51.2/31", "255.255.255.254", "10.5.51.2", "10.5.51.3"],
    ["172.16.5.9/12", "255.240.0.0", "172.16.0.0", "172.31.255.255"],
    ["200.0.0.1/1", "128.0.0.0", "128.0.0.0", "255.255.255.255"],
    ["200.0.0.1/0", "0.0.0.0", "0.0.0.0", "255.255.255.255"],
  ];
  for (const [text, mask, first, last] of cases) {
    const block = cidr(text);
    assert.equal(formatIpv4(netmask(block.prefix)), mask, text);
    assert.equal(formatIpv4(network(block)), first, text);
    assert.equal(formatIpv4(broadcast(block)), last, text);
  }
});

Deno.test("hosts are all but the first and the last, and in blocks of two and of one all (RFC 3021)", () => {
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

Deno.test("a block has the addresses from its first to its last", () => {
  fc.assert(fc.property(anyCidr, anyAddress, (block, address) => {
    const inside = network(block) <= address && address <= broadcast(block);
    assert.equal(contains(block, address), inside);
    assert.equal(broadcast(block) - network(block) + 1, 2 ** (32 - block.prefix));
    assert.ok(contains(block, block.address));
  }));
});

Deno.test("blocks overlap where one's range reaches into the other's", () => {
  const near = fc.tuple(anyCidr, anyCidr, fc.boolean()).map(([a, b, close]) =>
    [a, close ? { ...b, address: (a.address ^ (b.address & 0xff)) >>> 0 } : b] as const
  );
  fc.assert(fc.property(near, ([a, b]) => {
    const meet = network(a) <= broadcast(b) && network(b) <= broadcast(a);
    assert.equal(overlaps(a, b), meet);
    assert.equal(overlaps(b, a), meet);
  }));
});
