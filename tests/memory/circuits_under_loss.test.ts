/**
 * Circuits over links that lose, duplicate and reorder cells. Exactly the lost packets are missing.
 *
 * The length identifies a ping on every link, sealed or not, because no two pings of one length are
 * under way at once.
 *
 * @module
 */
import assert from "node:assert/strict";
import { CIRCUIT_KINDS } from "../../src/circuit/kind.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import type { Faults } from "../../src/sim/fault_link.ts";
import { type Way, waysOf } from "../support/attack.ts";
import { type Crossing, HOP, Onion, VM } from "../support/circuits.ts";
import { PROVIDER } from "../support/crypto.ts";
import { address } from "../support/packets.ts";
import { assertAnswers, dotted, type Heard, packetsOf, type Ping, pingOf } from "../support/ping.ts";
import { Random } from "../support/random.ts";

const STAGES: readonly { stage: number; kind: "plain" | "sealed"; sealing: { crypto?: CryptoProvider } }[] = [
  { stage: 5, kind: "plain", sealing: {} },
  { stage: 6, kind: "sealed", sealing: { crypto: PROVIDER } },
];

const FAULTS: Faults = { drop: 0.05, duplicate: 0.05, reorder: 0.05 };

/** Number of pings that are under way at once. */
const BURST = 50;

/** Number of layers of a cell on each link. */
const LAYERS = [3, 2, 1, 1, 2, 3];

/** The cell types that build circuits. */
const BUILDING = [0x52, 0x53, 0x62, 0x63, 0x65];

/** How often each ping arrived over each link, by its size. */
function arrivals(onion: Onion, ways: readonly Way[], overhead: number): Map<number, number>[] {
  const counts = ways.map(() => new Map<number, number>());
  for (const { from, to, bytes } of onion.crossed()) {
    const way = ways.findIndex((each) => each.from === from && each.to === to);
    const size = bytes.length - 8 - 28 - LAYERS[way]! * overhead;
    counts[way]!.set(size, (counts[way]!.get(size) ?? 0) + 1);
  }
  return counts;
}

for (const { stage, kind, sealing } of STAGES) {
  Deno.test(`stage ${stage}: loses exactly the pings whose cells are lost, of 10,000 over three hops`, () => {
    const onion = new Onion({ hops: 3, ...sealing, firstClient: address(VM), network: { faults: FAULTS } });
    onion.pass(15_000);
    assert.equal(onion.count("circuits-built"), 1, "despite the faults");
    onion.watch();
    const ways = waysOf(onion.path);
    let [answered, doubled] = [0, 0];
    const surplus = ways.map(() => 0);
    const sendBurst = (burst: number) => {
      const pings = Array.from(
        { length: BURST },
        (_, size) => pingOf({ size, sequence: burst * BURST + size }),
      );
      const heard = onion.exchange(pings.flatMap((ping) => packetsOf(ping)));
      const arrived = arrivals(onion, ways, CIRCUIT_KINDS[kind].overhead);
      for (const ping of pings) {
        const mine = heard.filter(({ payload }) => (payload[6]! << 8 | payload[7]!) === ping.sequence);
        for (const each of mine) assertAnswers(each, ping);
        const counts = arrived.map((way) => way.get(ping.size) ?? 0);
        const isComplete = counts.every((count) => count > 0);
        // A sealed duplicate is dropped. A clear one is not.
        const wanted = kind === "sealed" ? Number(isComplete) : counts.at(-1);
        assert.equal(mine.length, wanted, `ping ${ping.sequence}: ${counts}`);
        if (isComplete) answered++;
        doubled += Math.max(0, mine.length - 1);
        counts.forEach((count, way) => surplus[way]! += Math.max(0, count - 1));
      }
    };
    const drops = onion.dropsIn(() => {
      for (let burst = 0; burst < 10_000 / BURST; burst++) sendBurst(burst);
    });
    // Three of four pass six links that lose one in twenty each.
    assert.ok(
      answered > 7100 && answered < 7600,
      `${answered} of 10,000, wanted about ${10_000 * 0.95 ** 6}`,
    );
    if (kind === "plain") {
      assert.deepEqual(drops, []);
      return assert.ok(doubled > 1000, "duplicates reach the host, because there is no replay window");
    }
    // Outward, each router drops duplicates. Homeward, the proxy drops them all.
    const wanted = ways.flatMap(({ isOutward, receiver }, way) =>
      isOutward ? [[receiver, surplus[way]!]] : []
    );
    wanted.push([0, surplus.at(-1)!]);
    assert.deepEqual(drops, wanted.map(([party, count]) => [party, "replayed", count]).sort());
  });

  Deno.test(`stage ${stage}: builds circuits over faulty links from any seed`, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const onion = new Onion({
        hops: 3,
        ...sealing,
        firstClient: address(VM),
        network: { faults: FAULTS, seed },
      });
      onion.pass(15_000);
      assert.equal(onion.count("circuits-built"), 1, `seed ${seed}`);
      for (let sequence = 1; sequence <= 10; sequence++) onion.exchange(packetsOf(pingOf({ sequence })));
      const exits = onion.left().flatMap((packets, index) => packets.length > 0 ? [index + 1] : []);
      assert.deepEqual(exits, [onion.path.at(-1)], `seed ${seed}`);
    }
  });

  Deno.test(`stage ${stage}: answers waiting packets once and in order after repeated losses`, () => {
    for (let seed = 1; seed <= 40; seed++) {
      const onion = new Onion({ hops: 3, ...sealing, network: { seed } });
      const random = new Random(seed);
      onion.network.medium.tamper = (_from, _to, bytes) =>
        BUILDING.includes(bytes[0]!) && random.oneIn(12) ? [] : [bytes];
      const pings = Array.from({ length: 20 }, (_, sequence) => pingOf({ sequence }));
      const heard = onion.exchange(pings.slice(0, 10).flatMap((ping) => packetsOf(ping)));
      heard.push(
        ...onion.exchange(pings.slice(10).flatMap((ping) => packetsOf(ping))),
        ...onion.pass(18_000),
      );
      assert.equal(heard.length, 20, `seed ${seed}`);
      pings.forEach((ping, index) => assertAnswers(heard[index]!, ping));
    }
  });

  Deno.test(`stage ${stage}: answers or refuses every packet under any loss`, () => {
    let refused = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const onion = new Onion({ hops: 3, ...sealing, network: { seed } });
      const random = new Random(seed);
      onion.network.medium.tamper = (_from, _to, bytes) =>
        BUILDING.includes(bytes[0]!) && random.below(100) < seed ? [] : [bytes];
      const heard = onion.exchange([1, 2, 3].flatMap((sequence) => packetsOf(pingOf({ sequence }))));
      heard.push(...onion.pass(18_000));
      assert.equal(heard.length, 3, `seed ${seed}`);
      assert.equal(new Set(heard.map(({ type }) => type)).size, 1, "all alike");
      if (heard[0]!.type !== 3) continue;
      assert.equal(dotted(heard[0]!.source), HOP);
      refused++;
      onion.unwatch();
      onion.exchange(packetsOf(pingOf({ sequence: 4 })));
      onion.pass(100);
      onion.assertWorks({ sequence: 5 });
    }
    assert.ok(refused > 5 && refused < 35, `${refused} of 40 refused`);
  });

  Deno.test(`stage ${stage}: makes no reply up, and leaves nothing behind, under any delivery`, () => {
    for (let seed = 1; seed <= 15; seed++) {
      const random = new Random(seed);
      const limits = { lifetime: 5000, draining: 500 };
      const onion = new Onion({ routers: 5, hops: 3, ...sealing, limits, network: { seed } });
      const sent = new Map<number, Ping>();
      const answers = new Map<number, number>();
      const listen = (heard: readonly Heard[]) => {
        for (const each of heard) {
          const sequence = each.payload[6]! << 8 | each.payload[7]!;
          if (each.type !== 0) continue; // refused: there was no circuit
          assertAnswers(each, sent.get(sequence)!);
          answers.set(sequence, (answers.get(sequence) ?? 0) + 1);
        }
      };
      let underWay: Crossing[] = [];
      onion.network.medium.tamper = (from, to, bytes) => {
        underWay.push({ from, to, bytes });
        return [];
      };
      for (let step = 0; step < 1500; step++) {
        const ping = pingOf({
          source: `10.0.2.${15 + random.below(3)}`,
          sequence: step,
          size: random.below(100),
        });
        if (random.oneIn(8)) {
          sent.set(step, ping);
          listen(onion.exchange(packetsOf(ping)));
        } else if (random.oneIn(30)) listen(onion.listen(random.below(400)));
        else if (underWay.length > 0) {
          const chosen = random.oneIn(2) ? 0 : random.below(underWay.length);
          const { from, to, bytes } = underWay[chosen]!;
          // One in twenty is repeated, and one in forty is lost.
          if (!random.oneIn(20)) underWay.splice(chosen, 1);
          if (!random.oneIn(40)) listen(onion.arrive(from, to, bytes));
        }
      }
      underWay = [];
      onion.unwatch();
      listen(onion.pass(120_000));
      if (kind === "sealed") assert.ok([...answers.values()].every((count) => count === 1), "never twice");
      assert.ok(answers.size > 20, `seed ${seed}: ${answers.size} of ${sent.size} answered`);
      assert.deepEqual(onion.network.circuits, [0, 0, 0, 0, 0], `seed ${seed}`);
    }
  });
}
