import assert from "node:assert/strict";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import { HOP_LIMITS } from "../../src/circuit/relay/hop_table.ts";
import { exitMaker } from "../../src/exit/cores.ts";
import { MemoryMedium } from "../../src/sim/link.ts";
import { proxyNode, routerNode } from "../../src/runtime/node.ts";
import type { RouterConfig } from "../../src/node/router.ts";
import { Counters } from "../../src/trace/counters.ts";
import { SILENT } from "../../src/trace/events.ts";
import { MemoryTun } from "../../src/sim/tun.ts";
import { address, cell, echo, ipv4 } from "../support/packets.ts";
import { addressFromBits, LOOPBACK } from "../../src/ip/address.ts";

const [PROXY, ROUTER] = [40_000, 40_001];
const REQUEST = ipv4({}, echo());
const ROUTER_CONFIG: RouterConfig = {
  number: 1,
  address: addressFromBits(0),
  neighbours: [{ address: LOOPBACK, port: PROXY, isRouter: false }],
  circuits: "direct",
  carries: ["icmp"],
  mtu: 1500,
  limits: HOP_LIMITS,
};

/*
 *   host ── TUN ──► proxy ──► medium ──► router, exit echo
 */
function makeNodes() {
  const medium = new MemoryMedium();
  const tun = new MemoryTun();
  const [proxyLink, routerLink] = [medium.link(PROXY), medium.link(ROUTER)];
  proxyLink.addNeighbour(ROUTER);
  routerLink.addNeighbour(PROXY);
  const counters = { proxy: new Counters(), router: new Counters() };
  const proxy = proxyNode(
    {
      routers: [{ link: { address: LOOPBACK, port: ROUTER }, address: undefined }],
      circuits: { kind: "direct", hops: 1, limits: CIRCUIT_LIMITS },
      carries: ["icmp"],
      linkMtu: 65_535,
    },
    tun,
    proxyLink,
    { counters: counters.proxy, events: SILENT },
  );
  const router = routerNode(
    ROUTER_CONFIG,
    routerLink,
    { counters: counters.router, events: SILENT },
    exitMaker({ kind: "echo", block: { address: address("10.5.51.2"), prefix: 24 } }, undefined),
  );
  return { medium, tun, proxy, router, counters };
}

Deno.test("source: moves at most 64 packets in a turn", () => {
  const { tun, proxy, router } = makeNodes();
  const [fromLink, fromTun] = proxy.sources;
  const [fromProxy, ...more] = router.sources;
  assert.equal(proxy.sources.length, 2);
  assert.deepEqual(more, []);
  for (let packet = 0; packet < 101; packet++) tun.inject(REQUEST);
  // The first turn after a pause takes the first packet to be alone.
  for (const source of [fromTun!, fromProxy!, fromLink!]) {
    assert.deepEqual([0, 0, 0, 0].map((now) => source.move(now)), [1, 64, 36, 0]);
  }
  assert.equal(tun.take().length, 101);
});

Deno.test("source: takes the first packet after a pause to be alone", () => {
  const { tun, proxy } = makeNodes();
  const fromTun = proxy.sources[1]!;
  const moved = [0, 5, 5.01, 5.02, 5.05, 5.06].map((now) => {
    for (let packet = 0; packet < 2; packet++) tun.inject(REQUEST);
    return fromTun.move(now);
  });
  assert.deepEqual(moved, [1, 1, 4, 2, 1, 3], "a pause is more than 0.02 ms");
});

Deno.test("source: counts and drops a stranger's datagrams, a burst in a turn", () => {
  const { medium, proxy, router, counters } = makeNodes();
  for (let datagram = 0; datagram < 100; datagram++) {
    medium.carry(9, PROXY, cell(0x54, 1, REQUEST));
    medium.carry(9, ROUTER, cell(0x51, 1, REQUEST));
  }
  for (const source of [proxy.sources[0]!, router.sources[0]!]) {
    assert.deepEqual([source.move(0), source.move(0)], [1, 64]);
  }
  assert.deepEqual(counters.proxy.snapshot(), { "unknown-peer": 65 });
  assert.deepEqual(counters.router.snapshot(), { "unknown-peer": 65 });
});

Deno.test("node: only a router has a deadline for missing fragments", () => {
  const { medium, proxy, router, counters } = makeNodes();
  assert.equal(proxy.deadline(), Infinity);
  assert.equal(router.deadline(), Infinity);
  medium.carry(PROXY, ROUTER, cell(0x51, 1, ipv4({ moreFragments: true }, echo())));
  router.sources[0]!.move(5000);
  assert.equal(router.deadline(), 35_000);
  router.expire(35_000);
  assert.equal(router.deadline(), Infinity);
  assert.equal(counters.router.get("reassembly-timeout"), 1);
});

Deno.test("node: sends at a deadline without delay, and counts refused cells", () => {
  const link = new MemoryMedium().link(PROXY);
  link.addNeighbour(ROUTER);
  const counters = new Counters();
  let sent = 0;
  link.send = () => ++sent > 0;
  link.uncork = () => sent;
  const proxy = proxyNode(
    {
      routers: [{ link: { address: LOOPBACK, port: ROUTER }, address: undefined }],
      circuits: { kind: "plain", hops: 1, limits: CIRCUIT_LIMITS, firstClient: addressFromBits(1) },
      carries: ["icmp"],
      linkMtu: 65_535,
    },
    new MemoryTun(),
    link,
    { counters, events: SILENT },
  );
  assert.equal(proxy.deadline(), -Infinity);
  proxy.expire(0);
  assert.deepEqual(counters.snapshot(), { "link-out": 1, "link-refused": 1 });
  assert.equal(proxy.deadline(), CIRCUIT_LIMITS.answer);
});
