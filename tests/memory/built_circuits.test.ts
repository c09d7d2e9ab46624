/**
 * The common part of stages 5 and 6: through circuits of several routers, plain or sealed, `ping`
 * and `traceroute` see the world with one more hop.
 *
 * @module
 */
import assert from "node:assert/strict";
import { longestPacket } from "../../src/circuit/kind.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import type { WorldHost } from "../../src/sim/world.ts";
import { PROVIDER } from "../support/crypto.ts";
import { exitOf, HOP, LOWEST, Onion, type OnionOptions, PAIRS, portOf, PROXY } from "../support/circuits.ts";
import { address, echo, ipv4, readIpv4 } from "../support/packets.ts";
import { assertAnswers, assertQuotes, dotted, packetsOf, pingOf, tell } from "../support/ping.ts";
import type { IpAddress } from "../../src/ip/address.ts";

const CSAIL = "128.30.2.155";
const NOBODY = "18.9.22.71";

const STAGES = [
  { stage: 5, kind: "plain", sealing: {} },
  { stage: 6, kind: "sealed", sealing: { crypto: PROVIDER } },
] satisfies readonly { stage: number; kind: "plain" | "sealed"; sealing: { crypto?: CryptoProvider } }[];

for (const { stage, kind, sealing } of STAGES) {
  const test = (name: string, fn: () => void) => Deno.test(`stage ${stage}: ${name}`, fn);
  const make = (options: OnionOptions = {}) => new Onion({ hops: 3, ...sealing, ...options });

  test("builds circuits of distinct routers for every legal pair of routers and hops", () => {
    for (const [routers, hops] of PAIRS) {
      const onion = make({ routers, hops, network: { seed: routers * 7 + hops } });
      for (let sequence = 1; sequence <= 5; sequence++) {
        assert.deepEqual(onion.ping({ sequence }), [`reply from ${CSAIL}: id 7, seq ${sequence}, ttl 60`]);
      }
      const { path } = onion;
      assert.equal(path.length, hops);
      assert.equal(new Set(path).size, hops, "no router twice");
      const left = onion.left().map((packets) => packets.length);
      const wanted = left.map((_, index) => index + 1 === path.at(-1) ? 5 : 0);
      assert.deepEqual(left, wanted, "everything leaves at the last router");
      const known = onion.network.circuits.map((circuits, index) => [index + 1, circuits]);
      assert.deepEqual(known, known.map(([router]) => [router, path.includes(router!) ? 1 : 0]));
      assert.deepEqual(onion.dropped(), [], `${routers} routers, ${hops} hops`);
    }
  });

  test("chooses every sequence of routers about equally often", () => {
    const counts = new Map<string, number>();
    for (let seed = 1; seed <= 240; seed++) {
      const onion = make({ routers: 4, hops: 2, firstClient: address("10.0.2.15"), network: { seed } });
      onion.listen();
      const path = onion.path.join(" ");
      counts.set(path, (counts.get(path) ?? 0) + 1);
    }
    assert.equal(counts.size, 12);
    for (const [path, count] of counts) {
      assert.ok(count >= 8 && count <= 36, `${path}: ${count} of about 20`);
    }
  });

  test("keeps the first packets, and sends them in order once the circuit is open", () => {
    const onion = make();
    const pings = Array.from({ length: 20 }, (_, index) => pingOf({ sequence: index + 1 }));
    const heard = onion.exchange(pings.flatMap((ping) => packetsOf(ping)));
    assert.equal(heard.length, 20);
    pings.forEach((ping, index) => assertAnswers(heard[index]!, ping));
  });

  test("builds the first client's circuit before its first packet", () => {
    const onion = make({ firstClient: address("10.0.2.15") });
    onion.listen();
    assert.equal(onion.count("circuits-built"), 1);
    onion.assertWorks();
    assert.equal(onion.count("circuits-built"), 1);
  });

  test("gives each client its own circuit and only its own replies", () => {
    const onion = make({ routers: 6, hops: 3 });
    const pings = Array.from({ length: 12 }, (_, client) => pingOf({ source: `10.0.2.${15 + client}` }));
    const heard = onion.exchange(pings.flatMap((ping) => packetsOf(ping)));
    assert.equal(heard.length, pings.length);
    for (const ping of pings) {
      assertAnswers(heard.find(({ destination }) => dotted(destination) === ping.source)!, ping);
    }
    assert.equal(onion.count("circuits-built"), 12);
  });

  test("answers network unreachable to clients above the limit", () => {
    const onion = make({ limits: { circuits: 2 } });
    for (const client of [1, 2]) onion.assertWorks({ source: `10.0.2.${client}` });
    assert.deepEqual(onion.ping({ source: "10.0.2.3" }), [`${HOP}: net unreachable`]);
    for (const client of [1, 2]) onion.assertWorks({ source: `10.0.2.${client}`, sequence: 2 });
  });

  test("looks like one hop to traceroute, whatever the number of routers", () => {
    for (const hops of [1, 2, 5]) {
      const onion = make({ routers: 6, hops });
      const seen = [1, 2, 3, 4, 5].map((ttl) => onion.ping({ ttl, sequence: ttl })[0]);
      assert.deepEqual(seen, [
        `${HOP}: time exceeded`,
        `192.168.20${onion.path.at(-1)}.1: time exceeded`,
        "100.64.1.1: time exceeded",
        "100.64.2.1: time exceeded",
        `reply from ${CSAIL}: id 7, seq 5, ttl 60`,
      ]);
    }
  });

  test("returns ICMP errors that quote the client's own packet", () => {
    const routers = [
      { address: address("192.168.200.1"), longestError: 56 },
      { address: address("100.64.1.1"), mtu: 1000 },
    ];
    const host = (host: IpAddress): WorldHost => host === address(NOBODY) ? "unreachable" : "answers";
    const onion = make({ world: { routers, host } });
    // `ping` checks the quote and the checksums of each.
    assert.deepEqual(onion.ping({ ttl: 2, size: 900 }), ["192.168.200.1: time exceeded"]);
    assert.deepEqual(onion.ping({ ttl: 3, size: 900 }), ["100.64.1.1: time exceeded"]);
    assert.deepEqual(onion.ping({ destination: NOBODY }), ["100.64.1.1: host unreachable"]);
    assert.deepEqual(onion.ping({ size: 1400, dontFragment: true }), [
      "100.64.1.1: fragmentation needed, mtu 1000",
    ]);
    // Only the first fragment of a datagram may be quoted.
    const large = pingOf({ ttl: 3, size: 4000 });
    const [error, ...others] = onion.exchange(packetsOf(large));
    assert.equal(others.length, 0);
    assert.equal(tell(error!), "100.64.1.1: time exceeded");
    assertQuotes(error!, large);
  });

  test("answers pings to the exit's own address and to the hop's", () => {
    const onion = make({ network: { random: LOWEST } });
    for (const destination of [exitOf(3), HOP]) {
      assert.deepEqual(onion.ping({ destination }), [`reply from ${destination}: id 7, seq 1, ttl 64`]);
    }
    assert.deepEqual(onion.left().flat(), []);
  });

  test("carries pings of every length over circuits of every length", () => {
    for (const hops of [1, 3, 5]) {
      const onion = make({ routers: 6, hops });
      for (const size of [0, 1, 56, 1371, 1372, 1472, 1473, 8000, 65_400, 65_507]) {
        onion.assertWorks({ size, sequence: size });
      }
      assert.deepEqual(onion.dropped(), []);
    }
  });

  test("never joins fragments of two clients at one exit", () => {
    const onion = make({ network: { random: LOWEST } });
    const pings = ["10.0.2.15", "10.0.2.16"].map((source, index) => pingOf({ source, size: 4000 + index }));
    const [mine, other] = pings.map((ping) => packetsOf(ping));
    for (const ping of pings) onion.assertWorks({ source: ping.source });
    const heard = onion.exchange(mine!.flatMap((fragment, index) => [fragment, other![index]!]));
    assert.equal(heard.length, 2);
    for (const ping of pings) {
      assertAnswers(heard.find(({ destination }) => dotted(destination) === ping.source)!, ping);
    }
    assert.deepEqual(onion.path, [1, 2, 3]);
    assert.deepEqual(onion.dropped(), []);
  });

  test("fragments the longest packet where layers leave too little room", () => {
    const onion = make({ network: { mtu: 65_535 } });
    onion.assertWorks({ size: 65_507 });
    assert.deepEqual(onion.dropped(), []);
  });

  test("never exceeds the link MTU, and loses nothing", () => {
    for (const linkMtu of [576, 1280, 1492, 1500, 9000]) {
      for (const hops of [1, 3, 5]) {
        const onion = make({ routers: 6, hops, network: { linkMtu } });
        onion.watch();
        const longest = longestPacket(linkMtu, kind, hops);
        for (const size of [56, longest - 29, longest - 28, longest - 27, 1472, 5000, 65_507]) {
          onion.assertWorks({ size, sequence: size });
        }
        const longestCell = Math.max(...onion.crossed().map(({ bytes }) => bytes.length));
        assert.ok(longestCell <= linkMtu - 28, `${longestCell} bytes for a link of ${linkMtu}`);
        assert.deepEqual(onion.dropped(), []);
      }
    }
  });

  test("fragments replies to the MTU of the TUN interface", () => {
    for (const mtu of [576, 1280, 1500, 9000]) {
      const onion = make({ routers: 6, hops: 5, network: { mtu, linkMtu: 1500 } });
      // `hear` fails if a packet is longer than the interface MTU.
      for (const size of [56, 547, 548, 549, 1472, 9000, 65_507]) onion.assertWorks({ size, sequence: size });
      assert.deepEqual(onion.dropped(), []);
    }
  });

  test("reports the exact MTU if don't-fragment is set, and passes what fits", () => {
    for (const linkMtu of [576, 1280, 1500]) {
      for (const hops of [1, 2, 3, 4, 5]) {
        const onion = make({ routers: 6, hops, network: { linkMtu } });
        const mtu = longestPacket(linkMtu, kind, hops);
        for (const size of [mtu - 28 + 1, 1472]) {
          const told = onion.ping({ size, dontFragment: true });
          if (size + 28 <= mtu) continue;
          assert.deepEqual(told, [`${HOP}: fragmentation needed, mtu ${mtu}`]);
        }
        assert.deepEqual(onion.left().flat(), []);
        onion.assertWorks({ size: mtu - 28, dontFragment: true });
        const whole = onion.left().flat();
        assert.deepEqual(whole.map((packet) => packet.length), [mtu]);
        assert.ok(readIpv4(whole[0]!).dontFragment);
      }
    }
  });

  test("reports the MTU of the exit's link if that is the smaller one", () => {
    const onion = make({ world: { mtu: 1000 } });
    assert.deepEqual(onion.ping({ size: 1400, dontFragment: true }), [
      `${HOP}: fragmentation needed, mtu 1000`,
    ]);
    onion.assertWorks({ size: 972, dontFragment: true });
  });

  test("drops a reply whose circuit has ended", () => {
    const limits = { lifetime: 5000, draining: 0 };
    const onion = make({ limits, world: { host: () => "silent" }, network: { random: LOWEST } });
    assert.deepEqual(onion.ping(), []);
    const { payload } = readIpv4(onion.left()[2]![0]!);
    const reply = echo({ type: 0, id: payload[4]! << 8 | payload[5]! });
    onion.pass(5000);
    assert.deepEqual(onion.network.circuits, [0, 0, 0, 0], "unused in the second half of its lifetime");
    const drops = onion.dropsIn(() => {
      onion.worlds[2]!.inject(ipv4({ source: CSAIL, destination: exitOf(3) }, reply));
      assert.deepEqual(onion.listen(), []);
    });
    assert.deepEqual(drops, [[3, "unknown-circuit", 1]]);
  });

  test("sends cells between routers only along the path", () => {
    const onion = make({ network: { random: LOWEST } });
    onion.watch();
    onion.assertWorks();
    const ways = new Set(onion.crossed().map(({ from, to }) => `${from} ${to}`));
    const along = [PROXY, portOf(1), portOf(2), portOf(3)];
    const wanted = along.slice(1).flatMap((port, hop) => [`${along[hop]} ${port}`, `${port} ${along[hop]}`]);
    assert.deepEqual([...ways].sort(), wanted.sort());
    assert.deepEqual(onion.network.counters.routers[3]!.snapshot(), {});
  });
}
