import assert from "node:assert/strict";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import { HOP_LIMITS } from "../../src/circuit/relay/hop_table.ts";
import { longestOf, type Network, proxyConfig, routerConfig } from "../../src/node/network.ts";
import type { CircuitPlan } from "../../src/node/proxy.ts";
import { address, pattern } from "../support/packets.ts";
import { LOOPBACK } from "../../src/ip/address.ts";

const DIRECT: CircuitPlan = { kind: "direct", hops: 1, limits: CIRCUIT_LIMITS };
const SEALED: CircuitPlan = { kind: "sealed", hops: 2, limits: CIRCUIT_LIMITS };

/** A proxy and three routers. */
function network(circuits: CircuitPlan, linkMtu = 65_535): Network {
  return {
    circuits,
    carries: ["icmp"],
    linkMtu,
    tunMtu: 1500,
    proxy: { address: LOOPBACK, port: 40_000 },
    routers: [1, 2, 3].map((number) => ({
      link: { address: LOOPBACK, port: 40_000 + number },
      address: address(`192.168.20${number}.2`),
      key: pattern(32, number),
    })),
  };
}

Deno.test("network: lists the proxy and then the other routers as a router's neighbours", () => {
  for (const number of [1, 2, 3]) {
    const config = routerConfig(network(SEALED), number);
    const others = [1, 2, 3].filter((other) => other !== number);
    assert.deepEqual(config.neighbours, [
      { address: LOOPBACK, port: 40_000, isRouter: false },
      ...others.map((other) => ({ address: LOOPBACK, port: 40_000 + other, isRouter: true })),
    ]);
    assert.equal(config.number, number);
    assert.equal(config.address, address(`192.168.20${number}.2`));
  }
  assert.deepEqual(proxyConfig(network(SEALED)).routers, network(SEALED).routers);
});

Deno.test("network: proxy and routers agree on direct circuits", () => {
  const direct = network(DIRECT);
  assert.deepEqual(proxyConfig(direct).circuits, DIRECT);
  for (const number of [1, 2, 3]) {
    const config = routerConfig(direct, number);
    assert.deepEqual([config.circuits, config.number, config.limits], ["direct", number, HOP_LIMITS]);
  }
});

Deno.test("network: proxy and routers agree on the kind of built circuits, which routers keep a minute longer", () => {
  for (const kind of ["plain", "sealed"] as const) {
    const limits = { ...CIRCUIT_LIMITS, lifetime: 10_000 };
    const built = network({ ...SEALED, kind, limits });
    const config = routerConfig(built, 2);
    assert.equal(config.circuits, kind);
    assert.deepEqual(config.limits, { circuits: 4096, idle: 70_000 });
    assert.deepEqual(proxyConfig(built).circuits, built.circuits);
  }
});

Deno.test("network: limits replies to the longest packet and the TUN MTU", () => {
  const cases: [circuits: CircuitPlan, linkMtu: number, longest: number, back: number][] = [
    [DIRECT, 65_535, 65_499, 1500],
    [DIRECT, 1500, 1464, 1464],
    [{ ...SEALED, kind: "plain" }, 1500, 1464, 1464],
    [SEALED, 1500, 1416, 1416],
    [{ ...SEALED, hops: 5 }, 1500, 1344, 1344],
    [SEALED, 65_535, 65_451, 1500],
  ];
  for (const [circuits, linkMtu, longest, back] of cases) {
    assert.equal(longestOf(network(circuits, linkMtu)), longest);
    assert.equal(routerConfig(network(circuits, linkMtu), 1).mtu, back);
  }
});

Deno.test("network: passes the address for ICMP errors to the proxy", () => {
  assert.equal(proxyConfig(network(SEALED), address("10.5.51.1")).refuseAs, address("10.5.51.1"));
  assert.ok(!("refuseAs" in proxyConfig(network(SEALED))));
});
