import assert from "node:assert/strict";
import { FaultLink, type Faults } from "../../src/sim/fault_link.ts";
import { NOTHING, STRANGER } from "../../src/device/link.ts";
import { MemoryMedium } from "../../src/sim/link.ts";
import { hex, pattern, poisoned } from "../support/packets.ts";

/** A link with faults, its neighbour without faults, and what arrives there. */
function makeBench(faults: Faults, seed = 1) {
  const medium = new MemoryMedium();
  const sender = medium.link(1);
  sender.addNeighbour(2);
  const receiver = medium.link(2);
  receiver.addNeighbour(1);
  const link = new FaultLink(sender, faults, seed);
  const buffer = poisoned();
  return {
    medium,
    link,
    /** Sends datagrams with these numbers. */
    send(...numbers: readonly number[]): void {
      for (const number of numbers) {
        buffer.load(Uint8Array.of(number >>> 8, number));
        assert.equal(link.send(0, buffer), true);
      }
    },
    arrived(): Uint8Array[] {
      const datagrams: Uint8Array[] = [];
      while (receiver.receive(buffer) !== NOTHING) datagrams.push(buffer.copy());
      return datagrams;
    },
    numbers(): number[] {
      return this.arrived().map(([high, low]) => high! << 8 | low!);
    },
  };
}

const COUNT = 1000;
const NUMBERS = Array.from({ length: COUNT }, (_, number) => number);

Deno.test("fault link: delivers everything without faults", () => {
  const bench = makeBench({});
  bench.send(...NUMBERS);
  assert.deepEqual(bench.numbers(), NUMBERS);
});

Deno.test("fault link: each fault at probability 1", () => {
  const cases: [faults: Faults, want: number[]][] = [
    [{ drop: 1 }, []],
    [{ duplicate: 1 }, [0, 0, 1, 1, 2, 2, 3, 3]],
    // One waits until the next has left, which therefore leaves at once.
    [{ reorder: 1 }, [1, 0, 3, 2]],
    [{ reorder: 1, duplicate: 1 }, [1, 1, 0, 3, 3, 2]],
    [{ drop: 1, duplicate: 1, reorder: 1, flip: 1 }, []],
  ];
  for (const [faults, want] of cases) {
    const bench = makeBench(faults);
    bench.send(0, 1, 2, 3);
    assert.deepEqual(bench.numbers(), want, JSON.stringify(faults));
  }
});

Deno.test("fault link: release sends a held datagram", () => {
  const bench = makeBench({ reorder: 1 });
  bench.send(7);
  assert.deepEqual(bench.numbers(), []);
  assert.equal(bench.link.release(), true);
  assert.deepEqual(bench.numbers(), [7]);
  assert.equal(bench.link.release(), false);
  assert.deepEqual(bench.numbers(), []);
});

Deno.test("fault link: flips one bit anywhere, and not in the sender's buffer", () => {
  const datagram = pattern(20);
  const bench = makeBench({ flip: 1 });
  const flipped = new Set<number>();
  for (let round = 0; round < 3000; round++) {
    const buffer = poisoned(datagram, 20);
    bench.link.send(0, buffer);
    assert.deepEqual(buffer.copy(), datagram);
    const [arrived] = bench.arrived();
    const bits = [...datagram.keys()].flatMap((at) =>
      [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => ((arrived![at]! ^ datagram[at]!) >>> bit) & 1).map((bit) =>
        8 * at + bit
      )
    );
    assert.equal(bits.length, 1);
    flipped.add(bits[0]!);
  }
  assert.equal(flipped.size, 160, "each bit had its turn");
});

Deno.test("fault link: delivers an empty datagram", () => {
  const bench = makeBench({ flip: 1 });
  bench.link.send(0, poisoned());
  assert.deepEqual(bench.arrived(), [hex("")]);
});

Deno.test("fault link: faults strike at their probability, and nothing else happens", () => {
  const cases: [faults: Faults, least: number, most: number][] = [
    [{ drop: 0.1 }, 870, 930],
    [{ duplicate: 0.1 }, 1070, 1130],
    [{ reorder: 0.3 }, COUNT, COUNT],
    [{ drop: 0.5, duplicate: 0.5 }, 650, 850],
  ];
  for (const [faults, least, most] of cases) {
    const bench = makeBench(faults);
    bench.send(...NUMBERS);
    bench.link.release();
    const arrived = bench.numbers();
    assert.ok(
      arrived.length >= least && arrived.length <= most,
      `${JSON.stringify(faults)}: ${arrived.length}`,
    );
    assert.ok(arrived.every((number) => number < COUNT));
    if (faults.drop === undefined) assert.deepEqual([...new Set(arrived)].sort((a, b) => a - b), NUMBERS);
  }
});

Deno.test("fault link: the seed decides the faults", () => {
  const faults = { drop: 0.2, duplicate: 0.2, reorder: 0.2, flip: 0.2 };
  const run = (seed: number) => {
    const bench = makeBench(faults, seed);
    bench.send(...NUMBERS);
    return bench.numbers();
  };
  for (const seed of [0, 1, -1, 0x7fff_ffff]) {
    assert.deepEqual(run(seed), run(seed));
    assert.notDeepEqual(run(seed), run(seed + 1));
  }
});

Deno.test("fault link: receives without faults", () => {
  const bench = makeBench({ drop: 1, flip: 1 });
  bench.medium.carry(2, 1, hex("0102"));
  bench.medium.carry(9, 1, hex("03"));
  const into = poisoned();
  assert.equal(bench.link.receive(into), 0);
  assert.deepEqual(into.copy(), hex("0102"));
  assert.equal(bench.link.receive(into), STRANGER);
  assert.equal(bench.link.receive(into), NOTHING);
});
