import assert from "node:assert/strict";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import { HOP_LIMITS } from "../../src/circuit/relay/hop_table.ts";
import {
  type CircuitPlan,
  longestOf,
  type Network,
  proxyConfig,
  routerConfig,
} from "../../src/node/network.ts";
import { address, pattern } from "../support/packets.ts";
import { LOOPBACK } from "../../src/ip/address.ts";

const BUILT: CircuitPlan = { kind: "built", isSealed: true, hops: 2, limits: CIRCUIT_LIMITS };

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

Deno.test("everybody agrees on who is whose neighbour: the proxy comes first, then the others in order", () => {
  for (const number of [1, 2, 3]) {
    const config = routerConfig(network(BUILT), number);
    const others = [1, 2, 3].filter((other) => other !== number);
    assert.deepEqual(config.neighbours, [
      { address: LOOPBACK, port: 40_000, isRouter: false },
      ...others.map((other) => ({ address: LOOPBACK, port: 40_000 + other, isRouter: true })),
    ]);
    assert.equal(config.number, number);
    assert.equal(config.address, address(`192.168.20${number}.2`));
  }
  assert.deepEqual(proxyConfig(network(BUILT)).routers, network(BUILT).routers);
});

Deno.test("given circuits: one to each router, by its number, and none can be begun", () => {
  const given = network({ kind: "given" });
  assert.deepEqual(proxyConfig(given).circuits, { kind: "given", ids: [1, 2, 3] });
  for (const number of [1, 2, 3]) {
    const { given: circuits, begins, limits } = routerConfig(given, number);
    assert.deepEqual([circuits, begins, limits], [[{ neighbour: 0, id: number }], "none", HOP_LIMITS]);
  }
});

Deno.test("built circuits: none is given, each may be begun in its dialect alone, and outlives its proxy's by a minute", () => {
  for (const isSealed of [false, true]) {
    const limits = { ...CIRCUIT_LIMITS, lifetime: 10_000 };
    const built = network({ ...BUILT, isSealed, limits });
    const config = routerConfig(built, 2);
    assert.deepEqual(config.given, []);
    assert.equal(config.begins, isSealed ? "sealed" : "plain");
    assert.deepEqual(config.limits, { circuits: 4096, idle: 70_000 });
    assert.deepEqual(proxyConfig(built).circuits, built.circuits);
  }
});

Deno.test("the longest packet follows from the links and the hops, and nothing longer comes back to the tunnel", () => {
  const cases: [circuits: CircuitPlan, linkMtu: number, longest: number, back: number][] = [
    [{ kind: "given" }, 65_535, 65_499, 1500],
    [{ kind: "given" }, 1500, 1464, 1464],
    [{ ...BUILT, isSealed: false }, 1500, 1464, 1464],
    [BUILT, 1500, 1416, 1416],
    [{ ...BUILT, hops: 5 }, 1500, 1344, 1344],
    [BUILT, 65_535, 65_451, 1500],
  ];
  for (const [circuits, linkMtu, longest, back] of cases) {
    assert.equal(longestOf(network(circuits, linkMtu)), longest);
    assert.equal(routerConfig(network(circuits, linkMtu), 1).mtu, back);
  }
});

Deno.test("who refuses aloud is told by whom", () => {
  assert.equal(proxyConfig(network(BUILT), address("10.5.51.1")).refuseAs, address("10.5.51.1"));
  assert.ok(!("refuseAs" in proxyConfig(network(BUILT))));
});
