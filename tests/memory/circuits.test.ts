/**
 * Stages 4, 5 and 6 as a whole, in memory. The test plays the VM at one end, and sees the world at
 * the other.
 *
 * ```
 *      VM                      onion                                        world
 *                ┌───────────────────────────────────┐
 *   10.0.2.15 ──TUN── proxy ═ router ═ … ═ router ───── 192.168.20I.2 ── 100.64.1.1 ── 100.64.2.1 ── 128.30.2.155
 *                └───────────────────────────────────┘
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { CircuitKindName } from "../../src/circuit/kind.ts";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import type { MemoryWorldOptions, WorldHost } from "../../src/sim/world.ts";
import { Onion, type OnionOptions } from "../support/circuits.ts";
import { PROVIDER } from "../support/crypto.ts";
import { EventMemory } from "../support/events.ts";
import { dropped } from "../support/network.ts";
import { address, addressNumber, echo, ipv4, pattern, readIpv4 } from "../support/packets.ts";
import {
  assertAnswers,
  assertQuotes,
  dotted,
  hear,
  type Heard,
  packetsOf,
  type Ping,
  pingOf,
  tell,
} from "../support/ping.ts";
import { Random } from "../support/random.ts";

const [VM, HOP, CSAIL, MIT, DEAD, NOBODY] = [
  "10.0.2.15",
  "10.5.51.1",
  "128.30.2.155",
  "18.9.22.69",
  "18.9.22.70",
  "18.9.22.71",
];

const WORLD: Omit<MemoryWorldOptions, "address"> = {
  routers: ["100.64.1.1", "100.64.2.1"].map((router) => ({ address: address(router) })),
  host: (host): WorldHost =>
    host === address(DEAD) ? "silent" : host === address(NOBODY) ? "unreachable" : "answers",
};

type Kind = CircuitKindName;

interface Options extends Pick<OnionOptions, "routers" | "hops" | "network"> {
  readonly kind: Kind;
  readonly world?: Omit<MemoryWorldOptions, "address">;
}

/** A network that has just come up. By default, it has four routers and three hops. */
function make({ kind, hops = 3, world = WORLD, ...options }: Options): Onion {
  const circuits = kind === "direct" ? {} : { hops, ...(kind === "sealed" && { crypto: PROVIDER }) };
  return new Onion({ world, ...circuits, ...options });
}

// ── Stage 4 ──────────────────────────────────────────────────────────────────────────────────────

Deno.test("stage 4: chooses the router by the destination", () => {
  const onion = make({ kind: "direct" });
  for (let host = 0; host < 8; host++) {
    const destination = `128.30.2.${152 + host}`;
    assert.deepEqual(onion.ping({ destination }), [`reply from ${destination}: id 7, seq 1, ttl 61`]);
    const left = onion.worlds.map((world) => world.take().length);
    assert.deepEqual(left, [0, 1, 2, 3].map((router) => Number(router === host % 4)), destination);
  }
  assert.deepEqual(dropped(onion.network), {});
});

Deno.test("stage 4: answers a ping to a router's address at that router only", () => {
  const onion = make({ kind: "direct" });
  for (const number of [1, 2, 3, 4]) {
    const destination = `192.168.20${number}.2`;
    assert.deepEqual(onion.ping({ destination }).length, 1);
    assert.deepEqual(
      onion.network.counters.routers.map((each) => each.get("link-in")).indexOf(1),
      number - 1,
    );
    for (const each of onion.network.counters.routers) each.count("link-in", -each.get("link-in"));
  }
});

Deno.test("stage 4: names the router in the classic log by its port", () => {
  const onion = make({ kind: "direct" });
  onion.ping();
  // 128.30.2.155 as a number modulo 4 is 3: the fourth router.
  assert.deepEqual(onion.logs.proxy.lines, [
    `ICMP from tunnel, src: ${VM}, dst: ${CSAIL}, type: 8`,
    `ICMP from port: 40004, src: ${CSAIL}, dst: ${VM}, type: 0`,
  ]);
  assert.deepEqual(onion.logs.routers.map(({ lines }) => lines), [[], [], [], [
    `ICMP from port: 40000, src: ${VM}, dst: ${CSAIL}, type: 8`,
    `ICMP from raw sock, src: ${CSAIL}, dst: 192.168.204.2, type: 0`,
  ]]);
});

// ── Stages 5 and 6 ───────────────────────────────────────────────────────────────────────────────

Deno.test("stage 5: writes the classic log of a first ping", () => {
  const onion = make({ kind: "plain" });
  onion.ping();
  const [path] = onion.paths as [[number, number, number]];
  const [first, second, third] = path;
  const [one, two, three] = path.map((router) => `192.168.20${router}.2`);
  const [begin, middle] = [`0x${first}01`, `0x${second}01`];
  const port = (router: number) => 40_000 + router;
  assert.deepEqual(onion.logs.proxy.lines, [
    `ICMP from tunnel, src: ${VM}, dst: ${CSAIL}, type: 8`,
    `hop: 1, router: ${first}`,
    `hop: 2, router: ${second}`,
    `hop: 3, router: ${third}`,
    ...Array(3).fill(`incoming extend-done circuit, incoming: 0x01 from port: ${port(first)}`),
    `incoming packet, circuit incoming: 0x01, src: ${CSAIL}, dst: ${VM}`,
  ]);
  assert.deepEqual(path.map((router) => onion.logs.routers[router - 1]!.lines), [
    [
      `new extend circuit: incoming: 0x01, outgoing: ${begin} at ${port(second)}`,
      `forwarding extend circuit: incoming: 0x01, outgoing: ${begin} at ${port(second)}`,
      `relay packet, circuit incoming: 0x01, outgoing: ${begin}, ` +
      `incoming src: ${VM}, outgoing src: ${one}, dst: ${CSAIL}`,
      `relay reply packet, circuit incoming: ${begin}, outgoing: 0x01, ` +
      `src: ${CSAIL}, incoming dst: ${one}, outgoing dst: ${VM}`,
    ],
    [
      `new extend circuit: incoming: ${begin}, outgoing: ${middle} at ${port(third)}`,
      `relay packet, circuit incoming: ${begin}, outgoing: ${middle}, ` +
      `incoming src: ${one}, outgoing src: ${two}, dst: ${CSAIL}`,
      `relay reply packet, circuit incoming: ${middle}, outgoing: ${begin}, ` +
      `src: ${CSAIL}, incoming dst: ${two}, outgoing dst: ${one}`,
    ],
    [
      `outgoing packet, circuit incoming: ${middle}, ` +
      `incoming src: ${two}, outgoing src: ${three}, dst: ${CSAIL}`,
      `incoming packet, src: ${CSAIL}, dst: ${three}, outgoing circuit: ${middle}`,
    ],
  ]);
});

Deno.test("stage 6: writes addresses only into the classic logs of both ends", () => {
  const onion = make({ kind: "sealed" });
  onion.ping();
  const [path] = onion.paths as [[number, number, number]];
  const [first, second, third] = path;
  const [begin, middle] = [`0x${first}01`, `0x${second}01`];
  assert.deepEqual(path.map((router) => onion.logs.routers[router - 1]!.lines), [
    [
      `new extend circuit: incoming: 0x01, outgoing: ${begin} at ${40_000 + second}`,
      `forwarding extend circuit: incoming: 0x01, outgoing: ${begin} at ${40_000 + second}`,
      `relay encrypted packet, circuit incoming: 0x01, outgoing: ${begin}`,
      `relay reply encrypted packet, circuit incoming: ${begin}, outgoing: 0x01`,
    ],
    [
      `new extend circuit: incoming: ${begin}, outgoing: ${middle} at ${40_000 + third}`,
      `relay encrypted packet, circuit incoming: ${begin}, outgoing: ${middle}`,
      `relay reply encrypted packet, circuit incoming: ${middle}, outgoing: ${begin}`,
    ],
    [
      `outgoing packet, circuit incoming: ${middle}, ` +
      `incoming src: 0.0.0.0, outgoing src: 192.168.20${third}.2, dst: ${CSAIL}`,
      `incoming packet, src: ${CSAIL}, dst: 192.168.20${third}.2, outgoing circuit: ${middle}`,
    ],
  ]);
});

Deno.test("network: still logs circuits without a packet log", () => {
  const proxy = new EventMemory("circuits");
  const onion = make({ kind: "sealed", network: { events: { proxy } } });
  onion.ping();
  const kinds = [...Array(3).fill("hop"), ...Array(3).fill("extend-done")];
  assert.deepEqual(proxy.events.map(({ kind }) => kind), kinds);
});

Deno.test("network: any ping over any circuit has the same outcome as over one router", () => {
  const anyPing = fc.record({
    destination: fc.constantFrom(CSAIL, MIT, DEAD, NOBODY, HOP, "100.64.1.1"),
    source: fc.constantFrom(VM, "10.0.2.16"),
    id: fc.nat(0xffff),
    sequence: fc.nat(0xffff),
    ttl: fc.nat(6),
    tos: fc.nat(0xff),
    dontFragment: fc.boolean(),
    size: fc.oneof(fc.nat(64), fc.nat(1472), fc.nat(9000)),
  }).filter(({ dontFragment, size }) => !dontFragment || size <= 1472);
  const mtu = fc.constantFrom(576, 1280, 1500);
  const anyRouter = fc.record({ mtu, longestError: fc.constantFrom(56, 576) });
  fc.assert(
    fc.property(
      fc.array(anyPing, { maxLength: 6 }),
      mtu,
      fc.array(anyRouter, { maxLength: 3 }),
      fc.constantFrom<Kind>("plain", "sealed"),
      fc.integer({ min: 1, max: 5 }),
      (pings, mtu, kinds, kind, hops) => {
        const routers = kinds.map((each, index) => ({ ...each, address: address(`100.64.${index + 1}.1`) }));
        const world = { ...WORLD, mtu, routers };
        const [one, many] = [
          make({ kind: "direct", routers: 1, world }),
          make({ kind, routers: 6, hops, world }),
        ];
        for (const ping of pings) assert.deepEqual(many.ping(ping), one.ping(ping));
        assert.deepEqual(dropped(many.network), dropped(one.network));
      },
    ),
    { numRuns: 150 },
  );
});

for (const kind of ["plain", "sealed"] as const) {
  Deno.test(`${kind}: looks like one hop to traceroute`, () => {
    for (const hops of [1, 3, 5]) {
      const onion = make({ kind, routers: 6, hops });
      const heard = [1, 2, 3, 4].map((ttl) => onion.ping({ ttl, sequence: ttl }).join());
      assert.deepEqual(heard, [
        `${HOP}: time exceeded`,
        "100.64.1.1: time exceeded",
        "100.64.2.1: time exceeded",
        `reply from ${CSAIL}: id 7, seq 4, ttl 61`,
      ]);
    }
  });

  Deno.test(`${kind}: carries the longest ping over links of 1500 bytes`, () => {
    const long = make({ kind });
    assert.equal(long.ping({ size: 65_507 }).length, 1);
    const onion = make({ kind, network: { linkMtu: 1500 } });
    let longest = 0;
    onion.network.medium.tamper = (_from, _to, bytes) => {
      longest = Math.max(longest, bytes.length);
      return [bytes];
    };
    assert.equal(onion.ping({ size: 20_000 }).length, 1);
    assert.ok(longest > 1400 && longest <= 1500 - 28, `${longest} bytes`);
    const dontFragment = { dontFragment: true, size: 1472 };
    const fits = kind === "sealed" ? 1392 : 1464;
    assert.deepEqual(onion.ping(dontFragment), [`${HOP}: fragmentation needed, mtu ${fits}`]);
    assert.equal(onion.ping({ dontFragment: true, size: fits - 28 }).length, 1);
  });

  Deno.test(`${kind}: answers a ping per second for an hour, over changing circuits`, () => {
    const onion = make({ kind });
    for (let second = 0; second < 3600; second++) {
      onion.until(1000 * second);
      assert.equal(onion.ping({ sequence: second & 0xffff }).length, 1, `second ${second}`);
    }
    // Each circuit is replaced after nine of ten minutes.
    assert.equal(onion.network.counters.proxy.get("circuits-built"), 7);
    assert.deepEqual(dropped(onion.network), {});
    assert.ok(new Set(onion.paths.map(String)).size > 3, "over other paths");
    onion.until(3_600_000 + 2 * CIRCUIT_LIMITS.lifetime);
    assert.equal(onion.network.deadline, Infinity, "nothing is left");
  });

  Deno.test(`${kind}: avoids a dead router while pings wait`, () => {
    for (const silent of [1, 2, 3, 4]) {
      const onion = make({ kind });
      const { medium, ports } = onion.network;
      medium.tamper = (_from, to, bytes) => to === ports.routers[silent - 1] ? [] : [bytes];
      const sent = [1, 2, 3].map((sequence) => pingOf({ sequence }));
      const heard = onion.exchange(sent.flatMap((ping) => packetsOf(ping)));
      onion.until(2000);
      heard.push(...hear(onion.network.tun.take()));
      assert.deepEqual(
        heard.map(tell),
        sent.map(({ sequence }) => `reply from ${CSAIL}: id 7, seq ${sequence}, ttl 61`),
      );
      assert.ok(!onion.paths.at(-1)!.includes(silent));
    }
  });

  Deno.test(`${kind}: reports every waiting packet within 15 s if no router answers`, () => {
    const onion = make({ kind });
    onion.network.medium.tamper = () => [];
    assert.deepEqual(onion.ping(), []);
    onion.until(15_500);
    const heard = hear(onion.network.tun.take());
    for (const each of heard) assertQuotes(each, pingOf());
    assert.deepEqual(heard.map(tell), [`${HOP}: net unreachable`]);
    assert.deepEqual(dropped(onion.network), { "no-circuit": 1 });
  });

  Deno.test(`${kind}: keeps two clients with equal pings apart`, () => {
    const onion = make({ kind });
    const pings = [VM, "10.0.2.16"].map((source) => pingOf({ source }));
    const heard = onion.exchange(pings.flatMap((ping) => packetsOf(ping)));
    assert.equal(heard.length, 2);
    for (const [index, ping] of pings.entries()) assertAnswers(heard[index]!, ping);
    assert.equal(onion.network.counters.proxy.get("circuits-built"), 2);
  });

  Deno.test(`${kind}: delivers only true packets over faulty links, and most of them`, () => {
    for (let seed = 1; seed <= 4; seed++) {
      const faults = { drop: 0.01, duplicate: 0.03, reorder: 0.05, flip: 0.01 };
      const onion = make({ kind, network: { faults, seed } });
      const random = new Random(seed);
      const sent = new Map<number, Ping>();
      const times = new Map<number, number>();
      const listen = (heard: readonly Heard[]) => {
        for (const each of heard) {
          assert.equal(each.type, 0, tell(each));
          const sequence = each.payload[6]! << 8 | each.payload[7]!;
          const ping = sent.get(sequence);
          assert.ok(ping !== undefined, `${tell(each)} was never asked for`);
          assertAnswers(each, ping);
          times.set(sequence, (times.get(sequence) ?? 0) + 1);
        }
      };
      for (let sequence = 1; sequence <= 400; sequence++) {
        const ping = pingOf({ sequence, destination: random.pick([CSAIL, MIT]), size: random.below(1400) });
        sent.set(sequence, ping);
        onion.until(20 * sequence);
        listen(onion.exchange(packetsOf(ping)));
      }
      onion.until(60_000);
      listen(hear(onion.network.tun.take()));
      assert.ok(times.size > 200, `${times.size} of 400 answered`);
      // A duplicate on a sealed link is dropped.
      if (kind === "sealed") assert.ok([...times.values()].every((count) => count === 1));
      else assert.ok([...times.values()].some((count) => count > 1));
    }
  });
}

Deno.test("sealed: detects reading, changes and replays on all links of the first hop", () => {
  const onion = make({ kind: "sealed" });
  const { medium, ports } = onion.network;
  const seen: string[] = [];
  medium.tamper = (from, to, bytes) => {
    if (from === ports.proxy || to === ports.proxy) seen.push(bytes.toHex());
    return [bytes];
  };
  const message = echo({ id: 7, sequence: 1, data: pattern(56, 10) });
  onion.ping();
  assert.ok(seen.length >= 8);
  for (const cell of seen) {
    for (const secret of [VM, CSAIL, "192.168.201.2"]) {
      assert.ok(!cell.includes(addressNumber(secret).toString(16).padStart(8, "0")), secret);
    }
    assert.ok(!cell.includes(message.subarray(20, 28).toHex()));
  }

  const before = onion.worlds.flatMap((world) => world.take()).length;
  assert.equal(before, 1);
  for (const cell of seen) {
    for (const router of ports.routers) medium.deliver(ports.proxy, router, Uint8Array.fromHex(cell));
    for (const router of ports.routers) medium.deliver(router, ports.proxy, Uint8Array.fromHex(cell));
  }
  onion.network.run();
  assert.deepEqual(onion.worlds.flatMap((world) => world.take()), [], "nothing leaves twice");
  assert.deepEqual(onion.network.tun.take(), [], "nothing reaches the host");
  assert.equal(onion.ping({ sequence: 2 }).length, 1, "the circuit still works");
});

Deno.test("network: chooses the same paths from the same seed", () => {
  const pathsOf = (seed: number) => {
    const onion = make({ kind: "plain", network: { seed } });
    for (let client = 1; client <= 10; client++) {
      onion.exchange([ipv4({ source: `10.0.2.${client}`, destination: CSAIL }, echo())]);
    }
    return onion.paths;
  };
  assert.deepEqual(pathsOf(1), pathsOf(1));
  assert.notDeepEqual(pathsOf(1), pathsOf(2));
});

Deno.test("network: answers a ping to a router's address at the exit that has it, otherwise by the world", () => {
  for (const kind of ["plain", "sealed"] as const) {
    const onion = make({ kind });
    onion.ping();
    const exit = onion.paths[0]![2]!;
    for (const number of [1, 2, 3, 4]) {
      const destination = `192.168.20${number}.2`;
      const [heard] = onion.exchange(packetsOf(pingOf({ destination })));
      assertAnswers(heard!, pingOf({ destination }));
      assert.equal(dotted(heard!.source), destination);
      const left = onion.worlds.flatMap((world) => world.take()).filter((packet) =>
        dotted(readIpv4(packet).destination) === destination
      );
      assert.equal(left.length, number === exit ? 0 : 1);
    }
  }
});
