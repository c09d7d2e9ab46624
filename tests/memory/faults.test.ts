/**
 * Ping over links that drop, duplicate, reorder and damage cells. Each seed gives other faults, and
 * the same ones every time:
 *
 * ```
 *   host ── TUN ──► proxy ── faults ──► router
 *        ◄── TUN ─── proxy ◄── faults ── router
 * ```
 *
 * The onion must not make faults of UDP worse. Every reply that the host accepts is true, and every
 * cell that arrived is delivered, answered, or counted.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Faults } from "../../src/sim/fault_link.ts";
import { address, cutPlainly, echo, ipv4, pattern, readIpv4 } from "../support/packets.ts";
import { dropped, droppedBy, exchange, hostReceives, makeNetwork } from "../support/network.ts";
import { Random } from "../support/random.ts";

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

const FAULTS: readonly Faults[] = [
  { drop: 0.2 },
  { duplicate: 0.2 },
  { reorder: 0.4 },
  { flip: 0.2 },
  { drop: 0.1, duplicate: 0.1, reorder: 0.3, flip: 0.1 },
  { drop: 0.9, duplicate: 0.9, reorder: 0.9, flip: 0.9 },
];

/** Pings that differ in size and data, so that their replies can be told from each other. */
function makePings(count: number, longest: number, random: Random) {
  return Array.from({ length: count }, (_, id) => ({
    id,
    destination: `10.5.51.${3 + random.below(250)}`,
    data: pattern(random.below(longest), id),
  }));
}

for (const faults of FAULTS) {
  const name = Object.entries(faults).map(([fault, share]) => `${fault} ${share}`).join(", ");

  Deno.test(`echo network, ${name}: answers pings of one cell correctly, and counts every cell`, () => {
    for (const seed of SEEDS) {
      const network = makeNetwork({ faults, seed });
      const pings = makePings(1000, 100, new Random(seed));
      const answers = exchange(
        network,
        ...pings.map(({ id, destination, data }) => ipv4({ id, destination }, echo({ id, data }))),
      );

      const times = new Map<number, number>();
      for (const answer of answers) {
        const { id } = readIpv4(answer);
        const { destination, data } = pings[id]!;
        assert.deepEqual(
          answer,
          ipv4({ id, source: destination, destination: "10.5.51.2" }, echo({ type: 0, id, data })),
        );
        times.set(id, (times.get(id) ?? 0) + 1);
      }
      // Links may duplicate the request and each reply. Nothing else makes copies.
      const most = faults.duplicate === undefined ? 1 : 4;
      assert.ok([...times.values()].every((count) => count <= most));

      const [proxy, router] = [network.counters.proxy.snapshot(), network.counters.router.snapshot()];
      assert.equal(proxy["tun-in"], pings.length);
      assert.equal(proxy["link-out"], pings.length);
      assert.equal(router["link-in"], (router["link-out"] ?? 0) + droppedBy(router));
      assert.equal(proxy["link-in"] ?? 0, (proxy["tun-out"] ?? 0) + droppedBy(proxy));
      assert.equal(proxy["tun-out"] ?? 0, answers.length);
      if (faults.flip === undefined) assert.deepEqual(dropped(network), {});
      if (faults.drop === undefined && faults.flip === undefined) assert.equal(times.size, pings.length);
    }
  });

  Deno.test(`echo network, ${name}: answers fragmented pings correctly, and keeps nothing for ever`, () => {
    for (const seed of SEEDS) {
      const network = makeNetwork({ faults, seed });
      const random = new Random(seed);
      const pings = makePings(60, 8000, random);
      const fragments = pings.flatMap(({ id, destination, data }) =>
        cutPlainly({ id, destination }, echo({ id, data }), 1480)
      );
      const answers = hostReceives(exchange(network, ...random.shuffle(fragments)));
      for (const { id, source, payload } of answers) {
        const { destination, data } = pings[id]!;
        assert.equal(source, address(destination));
        assert.equal(payload.length, 8 + data.length);
        // A checksum detects one flipped bit. Two, in two fragments, may cancel out.
        if (faults.flip === undefined) assert.deepEqual(payload, echo({ type: 0, id, data }));
      }
      if (faults.drop === undefined && faults.flip === undefined) assert.equal(answers.length, pings.length);

      network.run(30_000);
      const before = network.counters.router.snapshot();
      network.run(30_000);
      assert.deepEqual(network.counters.router.snapshot(), before, "nothing is left to time out");
    }
  });
}

Deno.test("echo network: runs the same from the same seed", () => {
  const run = (seed: number) => {
    const network = makeNetwork({ faults: FAULTS[4]!, seed });
    const requests = Array.from({ length: 500 }, (_, id) => ipv4({ id }, echo()));
    return exchange(network, ...requests);
  };
  assert.deepEqual(run(1), run(1));
  assert.notDeepEqual(run(1), run(2));
});

Deno.test("echo network: returns nothing over a link that drops everything", () => {
  const network = makeNetwork({ faults: { drop: 1 } });
  assert.deepEqual(exchange(network, ...Array.from({ length: 100 }, () => ipv4({}, echo()))), []);
  assert.deepEqual(network.counters.proxy.snapshot(), { "tun-in": 100, "link-out": 100 });
  assert.deepEqual(network.counters.router.snapshot(), {});
});
