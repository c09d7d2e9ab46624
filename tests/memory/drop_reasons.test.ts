/**
 * Causes every drop reason in a whole network, by means of a host, a neighbour, a stranger, the
 * world, or the kernel. A reason without such a cause fails to compile here.
 *
 * @module
 */
import assert from "node:assert/strict";
import { CIRCUIT_LIMITS, type CircuitLimits } from "../../src/circuit/origin/pool.ts";
import { Layer, LAYER_OVERHEAD } from "../../src/crypto/layer.ts";
import { HANDSHAKE_OVERHEAD } from "../../src/crypto/noise.ts";
import { exitMaker } from "../../src/exit/cores.ts";
import { MemoryWorld } from "../../src/sim/world.ts";
import type { MemoryCircuits, MemoryNetwork } from "../../src/sim/network.ts";
import { type Network, proxyConfig, routerConfig } from "../../src/node/network.ts";
import { proxyNode, routerNode } from "../../src/runtime/node.ts";
import { MemoryMedium } from "../../src/sim/link.ts";
import { Counters, DROP_REASONS, type DropReason } from "../../src/trace/counters.ts";
import { SILENT } from "../../src/trace/events.ts";
import { MemoryTun } from "../../src/sim/tun.ts";
import { flip, PROVIDER } from "../support/crypto.ts";
import { address, cell, cutPlainly, echo, hex, ipv4, pattern } from "../support/packets.ts";
import { BLOCK, dropped, exchange, makeNetwork } from "../support/network.ts";
import { LOOPBACK } from "../../src/ip/address.ts";

/** The drops, by reason. */
type Dropped = Record<string, number>;

const REQUEST = ipv4({}, echo());
const [RELAY_DATA, EXTEND, RETURN_DATA, RELAY_SEALED, HANDSHAKE] = [0x51, 0x52, 0x54, 0x61, 0x65];
/** The id of the first circuit on a link. */
const CIRCUIT = 1;
const [FIRST, ...REST] = cutPlainly({}, echo({ data: pattern(2000) }), 1480) as [Uint8Array, Uint8Array];

/** Sends packets as the host. */
function fromHost(...packets: Uint8Array[]): Dropped {
  const network = makeNetwork();
  exchange(network, ...packets);
  return dropped(network);
}

/** Sends a datagram to the proxy from the port of the router. */
function fromRouter(datagram: Uint8Array): Dropped {
  const network = makeNetwork();
  network.medium.carry(network.ports.router, network.ports.proxy, datagram);
  network.run();
  return dropped(network);
}

/** A network that builds a sealed circuit to its router on demand. */
function makeSealedNetwork(limits: Partial<CircuitLimits> = {}): MemoryNetwork {
  return makeNetwork({ circuits: { hops: 1, crypto: PROVIDER, limits } });
}

/** Sends a datagram to a router of built circuits from the port of the proxy. */
function fromProxy(circuits: MemoryCircuits, datagram: Uint8Array): Dropped {
  const network = makeNetwork({ circuits });
  network.medium.carry(network.ports.proxy, network.ports.router, datagram);
  network.run();
  return dropped(network);
}

/** Changes the only packet cell of a sealed circuit on the link to the router. */
function underWay(tamper: (cell: Uint8Array) => Uint8Array[]): Dropped {
  const network = makeSealedNetwork();
  network.medium.tamper = (_from, _to, bytes) => bytes[0] === RELAY_SEALED ? tamper(bytes) : [bytes];
  exchange(network, REQUEST);
  return dropped(network);
}

/** Sends a ping of the host to the world. */
function intoWorld(world: MemoryWorld, ...packets: Uint8Array[]): Dropped {
  const network = makeNetwork({ worlds: [world] });
  exchange(network, ...packets);
  return dropped(network);
}

const EXIT = address("192.168.201.2");
const outside = (header: Parameters<typeof ipv4>[0] = {}, message = echo()) =>
  ipv4({ destination: "128.30.2.155", ...header }, message);

/** A network of direct circuits. */
const DIRECT: Network = {
  circuits: { kind: "direct", hops: 1, limits: CIRCUIT_LIMITS },
  carries: ["icmp"],
  linkMtu: 65_535,
  tunMtu: 1500,
  proxy: { address: LOOPBACK, port: 1 },
  routers: [{ link: { address: LOOPBACK, port: 2 }, address: undefined }],
};

/** A cause of each reason. It must count that reason once, and no other. */
const WAYS: Record<DropReason, () => Dropped> = {
  "not-ipv4": () => fromHost(hex("60 000000")),
  "bad-length": () => fromHost(REQUEST.subarray(0, 19)),
  "header-checksum": () => fromHost(ipv4({ checksum: 1 }, echo())),
  "bad-fragment": () => fromHost(ipv4({ moreFragments: true }, pattern(9))),
  "fragment-overlap": () => fromHost(FIRST, ipv4({ moreFragments: true, offset: 8 }, new Uint8Array(8))),
  "reassembly-full": () =>
    fromHost(...Array.from({ length: 65 }, (_, id) => ipv4({ id, moreFragments: true }, echo()))),
  "reassembly-timeout": () => {
    const network = makeNetwork();
    exchange(network, FIRST);
    network.run(30_000);
    return dropped(network);
  },
  "not-carried": () => fromHost(ipv4({ protocol: 6 }, pattern(20))),
  "icmp-checksum": () => fromHost(ipv4({}, echo({ checksum: 1 }))),
  "not-echo-request": () => fromHost(ipv4({}, echo({ type: 13 }))),
  "not-a-reply": () => fromRouter(cell(RETURN_DATA, CIRCUIT, REQUEST)),
  "bad-source": () => fromHost(ipv4({ source: "127.0.0.1" }, echo())),
  "bad-destination": () => fromHost(ipv4({ destination: "10.5.51.255" }, echo())),
  "ttl-expired": () => intoWorld(new MemoryWorld({ address: EXIT }), outside({ ttl: 1 })),
  "too-long": () =>
    intoWorld(
      new MemoryWorld({ address: EXIT, mtu: 1400 }),
      outside({ dontFragment: true }, echo({ data: pattern(1400) })),
    ),
  "sessions-full": () =>
    intoWorld(
      new MemoryWorld({ address: EXIT, host: () => "silent" }),
      ...Array.from({ length: 16_385 }, (_, id) => outside({}, echo({ id }))),
    ),
  "not-ours": () => {
    const world = new MemoryWorld({ address: EXIT });
    world.inject(ipv4({ source: "128.30.2.155", destination: "192.168.201.2" }, echo({ type: 0 })));
    return intoWorld(world);
  },
  "exit-refused": () => {
    const world = new MemoryWorld({ address: EXIT });
    world.isUp = false;
    return intoWorld(world, outside());
  },
  "bad-cell": () => fromRouter(hex("54 000000 00000000")),
  "unexpected-cell": () => fromRouter(cell(RELAY_DATA, CIRCUIT, REQUEST)),
  "unknown-circuit": () => fromRouter(cell(RETURN_DATA, CIRCUIT + 1, REQUEST)),
  "bad-handshake": () =>
    fromProxy({ hops: 1, crypto: PROVIDER }, cell(HANDSHAKE, CIRCUIT, pattern(HANDSHAKE_OVERHEAD))),
  "bad-extend": () => fromProxy({ hops: 1 }, cell(EXTEND, CIRCUIT, hex("7f000001 0000"))),
  "forged": () => underWay((bytes) => [flip(bytes, 8 * bytes.length - 1)]),
  "replayed": () => underWay((bytes) => [bytes, bytes]),
  "truncated": () => underWay((bytes) => [bytes.subarray(0, 8 + LAYER_OVERHEAD - 1)]),
  "worn-out": () => {
    const network = makeSealedNetwork();
    exchange(network, REQUEST);
    // As after 2^48 cells.
    const { seal } = Layer.prototype;
    Layer.prototype.seal = () => false;
    try {
      exchange(network, REQUEST);
    } finally {
      Layer.prototype.seal = seal;
    }
    return dropped(network);
  },
  "circuits-full": () => {
    const network = makeSealedNetwork({ circuits: 1 });
    exchange(network, REQUEST, ipv4({ source: "10.5.51.3" }, echo()));
    return dropped(network);
  },
  "queue-full": () => {
    const network = makeSealedNetwork();
    network.medium.tamper = () => [];
    exchange(network, ...Array.from({ length: 257 }, () => REQUEST));
    return dropped(network);
  },
  "no-circuit": () => {
    const network = makeSealedNetwork();
    network.medium.tamper = () => [];
    exchange(network, REQUEST);
    while (network.deadline < Infinity) network.run(network.deadline - network.now);
    return dropped(network);
  },
  "unknown-peer": () => {
    const network = makeNetwork();
    network.medium.carry(9999, network.ports.proxy, cell(RETURN_DATA, CIRCUIT, REQUEST));
    network.run();
    return dropped(network);
  },
  "tun-refused": () => {
    const tun = new MemoryTun();
    tun.send = () => false;
    const medium = new MemoryMedium();
    const link = medium.link(1);
    link.addNeighbour(2);
    const counters = new Counters();
    const config = proxyConfig(DIRECT);
    const node = proxyNode(config, tun, link, { counters, events: SILENT });
    medium.carry(2, 1, cell(RETURN_DATA, CIRCUIT, ipv4({}, echo({ type: 0 }))));
    for (const source of node.sources) source.move(0);
    return onlyDrops(counters);
  },
  "link-refused": () => {
    const medium = new MemoryMedium();
    const link = medium.link(2);
    link.addNeighbour(1);
    link.send = () => false;
    const counters = new Counters();
    const makeExit = exitMaker({ kind: "echo", block: BLOCK }, undefined);
    const node = routerNode(routerConfig(DIRECT, 1), link, { counters, events: SILENT }, makeExit);
    medium.carry(1, 2, cell(RELAY_DATA, CIRCUIT, REQUEST));
    for (const source of node.sources) source.move(0);
    return onlyDrops(counters);
  },
};

function onlyDrops(counters: Counters): Dropped {
  return dropped({ counters: { proxy: counters, routers: [] } });
}

for (const [reason, meaning] of Object.entries(DROP_REASONS)) {
  Deno.test(`drop reason ${reason}: ${meaning}`, () => {
    assert.deepEqual(WAYS[reason as DropReason](), { [reason]: 1 });
  });
}

Deno.test("drop reasons: a ping over the same networks causes none", () => {
  assert.deepEqual(fromHost(REQUEST), {});
  assert.deepEqual(fromHost(FIRST, ...REST), {});
  assert.deepEqual(intoWorld(new MemoryWorld({ address: EXIT }), outside()), {});
  assert.deepEqual(underWay((cell) => [cell]), {});
});
