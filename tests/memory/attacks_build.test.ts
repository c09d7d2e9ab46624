/**
 * Attacks on the building of a sealed circuit. The attempt fails and is repeated, or continues as
 * if nothing had come. It never completes with any router but the chosen ones.
 *
 * ```
 *        proxy        1        2        3
 *   0      ── 65 ────►                      handshake with the first hop
 *   1      ◄─── 65 ──
 *   2      ── 62 ────►                      extend to the second
 *   3                 ── 65 ──►
 *   4                 ◄── 65 ──
 *   5      ◄─── 63 ──
 *   6      ── 62 ────►                      extend to the third
 *   7                 ── 62 ──►
 *   8                          ── 65 ──►
 *   9                          ◄── 65 ──
 *  10                 ◄── 63 ──
 *  11      ◄─── 63 ──
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import { CircuitIds, partyOf as chooserOf } from "../../src/circuit/ids.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import type { DropReason } from "../../src/trace/counters.ts";
import { counterOf, withHeader } from "../support/attack.ts";
import { type Crossing, LOWEST, Onion, type OnionOptions, portOf, PROXY, VM } from "../support/circuits.ts";
import { flip, PROVIDER, testEach } from "../support/crypto.ts";
import { address } from "../support/packets.ts";
import { packetsOf, pingOf } from "../support/ping.ts";

/** The requests and the answers of a build, by their numbers in the drawing. */
const CELLS = Array.from({ length: 12 }, (_, number) => number);

/**
 * Create; created at the proxy, and at a router, which cannot check it; sealed extend; sealed
 * extended.
 */
const BEGIN = [0, 3, 8], BEGUN = [1], BEGUN_BEHIND = [4, 9], EXTEND = [2, 6, 7], EXTENDED = [5, 10, 11];

/** A network whose proxy builds a circuit of routers 1, 2 and 3 of four. */
function begin(crypto: CryptoProvider, options: OnionOptions = {}): Onion {
  return new Onion({ hops: 3, crypto, firstClient: address(VM), network: { random: LOWEST }, ...options });
}

/** Starts a build, and holds back the cell of this number, so that the build stops there. */
function hold(onion: Onion, number: number): Crossing {
  let count = 0;
  let held: Crossing | undefined;
  onion.network.medium.tamper = (from, to, bytes) => {
    if (count++ !== number) return [bytes];
    held = { from, to, bytes };
    return [];
  };
  onion.listen();
  onion.unwatch();
  assert.ok(held !== undefined && count === number + 1);
  return held;
}

const partyOf = (port: number) => port - PROXY;

/** The party that first detects a changed cell of a build, and its drop reason. */
function flawOf(
  number: number,
  { to, bytes }: Crossing,
  changed: Uint8Array,
): [party: number, reason: DropReason] {
  const receiver = partyOf(to);
  if (changed.length < 8 || changed.subarray(1, 4).some((byte) => byte !== 0)) return [receiver, "bad-cell"];
  const [type, id] = [changed[0]!, changed.subarray(4, 8).toHex()];
  if (id === "00000000") return [receiver, "bad-cell"];
  if (type !== bytes[0]) {
    if (BEGIN.includes(number) && (type === 0x61 || type === 0x64)) return [receiver, "unknown-circuit"];
    return [receiver, EXTEND.includes(number) && type === 0x66 ? "forged" : "unexpected-cell"];
  }
  if (id !== bytes.subarray(4, 8).toHex()) {
    // A router creates no circuit with an id that is its own to choose.
    const begins = BEGIN.includes(number) || BEGUN_BEHIND.includes(number);
    if (begins && chooserOf(Number(`0x${id}`)) === receiver) return [receiver, "bad-extend"];
    // It is answered, but the receiver of the answer does not know the circuit, or takes it for a
    // create.
    if (BEGIN.includes(number)) {
      const asker = receiver - 1;
      if (asker === 0) return [0, "unknown-circuit"];
      return [asker, chooserOf(Number(`0x${id}`)) === asker ? "bad-extend" : "bad-handshake"];
    }
    return [receiver, BEGUN_BEHIND.includes(number) ? "bad-handshake" : "unknown-circuit"];
  }
  if (BEGIN.includes(number)) return [receiver, "bad-handshake"];
  if (BEGUN.includes(number) || BEGUN_BEHIND.includes(number)) return [0, "bad-handshake"];
  const opener = EXTENDED.includes(number) ? 0 : receiver;
  if (changed.length < 8 + 24) return [opener, "truncated"];
  return [opener, counterOf(changed) < counterOf(bytes) ? "replayed" : "forged"];
}

/**
 * Whether a router forwards the changed cell, which its proxy refuses, and then refuses the genuine
 * one.
 */
function isSpoiled(number: number, { bytes }: Crossing, changed: Uint8Array): boolean {
  return BEGUN_BEHIND.includes(number) && changed.length >= 8 &&
    changed.subarray(0, 8).toHex() === bytes.subarray(0, 8).toHex();
}

function assertIgnored(
  onion: Onion,
  number: number,
  held: Crossing,
  changed: Uint8Array,
  what: string,
): void {
  const drops = onion.dropsIn(() => assert.deepEqual(onion.arrive(held.from, held.to, changed), []));
  const [party, reason] = flawOf(number, held, changed);
  assert.deepEqual(drops, [[party, reason, 1]], `cell ${number}, ${what}`);
  assert.equal(onion.count("circuits-built"), 0);
}

function assertCompletes(onion: Onion, { from, to, bytes }: Crossing): void {
  onion.arrive(from, to, bytes);
  assert.equal(onion.count("circuits-built"), 1, "the genuine cell completes it");
  assert.equal(onion.count("builds-failed"), 0);
  assert.deepEqual(onion.path, [1, 2, 3]);
  onion.assertWorks();
}

testEach(
  "attack on a build: a flipped bit in any cell, after which the genuine cell still counts",
  (crypto) => {
    for (const number of CELLS) {
      const onion = begin(crypto);
      const held = hold(onion, number);
      for (let bit = 0; bit < held.bytes.length * 8; bit++) {
        const flipped = flip(held.bytes, bit);
        if (!isSpoiled(number, held, flipped)) assertIgnored(onion, number, held, flipped, `bit ${bit}`);
      }
      assertCompletes(onion, held);
    }
  },
);

testEach("attack on a build: any cell cut off after any byte", (crypto) => {
  for (const number of CELLS) {
    const onion = begin(crypto);
    const held = hold(onion, number);
    for (let length = 0; length < held.bytes.length; length++) {
      const cut = held.bytes.subarray(0, length);
      if (!isSpoiled(number, held, cut)) assertIgnored(onion, number, held, cut, `${length} bytes`);
    }
    assertCompletes(onion, held);
  }
});

Deno.test("attack on a build: an answer changed before a router that cannot tell, so another path is taken", () => {
  for (const number of BEGUN_BEHIND) {
    // A public key of 32 bytes and a tag of 16: all bits would take 384 builds.
    for (let bit = 64; bit < 64 + 384; bit += 5) {
      const onion = begin(PROVIDER);
      const held = hold(onion, number);
      assertIgnored(onion, number, held, flip(held.bytes, bit), `bit ${bit}`);
      const router = partyOf(held.from);
      const drops = onion.dropsIn(() => onion.arrive(held.from, held.to, held.bytes));
      assert.deepEqual(drops, [[router - 1, "unexpected-cell", 1]], "it already has an answer");
      onion.pass(1000);
      assert.deepEqual([onion.count("builds-failed"), onion.count("circuits-built")], [1, 1]);
      assert.ok(!onion.path.includes(router), "the seemingly silent router is avoided");
      onion.assertWorks();
    }
  }
});

testEach("attack on a build: any cell lost, after which the waiting packet still gets through", (crypto) => {
  for (const number of CELLS) {
    const onion = begin(crypto);
    hold(onion, number);
    const ping = pingOf();
    assert.deepEqual(onion.exchange(packetsOf(ping)), [], "it waits");
    const heard = onion.pass(1000);
    assert.equal(heard.length, 1, `without cell ${number}`);
    assert.deepEqual([onion.count("builds-failed"), onion.count("circuits-built")], [1, 1]);
  }
});

testEach(
  "attack on a build: any cell repeated, which makes the circuit no shorter",
  (crypto) => {
    for (const number of CELLS) {
      const onion = begin(crypto);
      const { from, to, bytes } = hold(onion, number);
      onion.network.medium.deliver(from, to, bytes);
      const drops = onion.dropsIn(() => onion.arrive(from, to, bytes));
      const wanted = EXTEND.includes(number)
        ? [partyOf(to), "replayed"]
        : EXTENDED.includes(number) && to !== PROXY
        ? [0, "replayed"]
        : [partyOf(to), "unexpected-cell"];
      // The proxy ignores it if the circuit is complete, or if it expects another type.
      const others = number === 5 ? [0, "replayed"] : number >= 10 ? [0, "unexpected-cell"] : wanted;
      assert.deepEqual(drops, [[...others, 1]], `cell ${number}`);
      assert.equal(onion.count("circuits-built"), 1);
      onion.assertWorks();
      assert.equal(onion.left()[2]!.length, 1, "by router 3");
    }
  },
);

testEach(
  "attack on a build: a handshake diverted to another router, which does not answer",
  (crypto) => {
    for (const number of BEGIN) {
      const onion = begin(crypto);
      const { from, bytes } = hold(onion, number);
      onion.watch();
      const drops = onion.dropsIn(() => onion.arrive(from, portOf(4), bytes));
      assert.deepEqual(drops, [[4, "bad-handshake", 1]]);
      assert.deepEqual(onion.crossed(), [], "nothing is sent");
      assert.equal(onion.network.circuits[3], 0);
      onion.pass(1000);
      onion.assertWorks();
    }
  },
);

testEach("attack on a build: a router that answers for another one, without its key", (crypto) => {
  for (const number of [...BEGUN, ...BEGUN_BEHIND]) {
    const onion = begin(crypto);
    const held = hold(onion, number);
    // The best forgery it has: its answer to another build.
    const other = hold(begin(crypto), number);
    assertIgnored(onion, number, held, other.bytes, "another build's answer");
    onion.pass(1000);
    onion.assertWorks();
  }
});

testEach("attack on a build: swapped answers of two builds, which complete neither", (crypto) => {
  const clients = ["10.0.2.15", "10.0.2.16"];
  const onion = new Onion({ hops: 3, crypto, network: { random: LOWEST } });
  const caught = clients.map((source) =>
    onion.intercept(portOf(1), PROXY, () => onion.exchange(packetsOf(pingOf({ source }))))[0]!
  );
  const swapped = caught.map((_, which) => withHeader(caught[1 - which]!, { id: which + 1 }));
  const drops = onion.dropsIn(() => swapped.forEach((bytes) => onion.arrive(portOf(1), PROXY, bytes)));
  assert.deepEqual(drops, [[0, "bad-handshake", 2]]);
  const heard = caught.flatMap((bytes) => onion.arrive(portOf(1), PROXY, bytes));
  assert.equal(heard.length, 2, "each continues with its own answer");
});

testEach(
  "attack on a build: a replayed handshake, which is useless and expires",
  (crypto) => {
    const onion = begin(crypto);
    onion.watch();
    onion.listen();
    onion.assertWorks();
    const crossings = onion.crossed();
    const { from, to, bytes } = crossings[0]!;
    const again = () => onion.arrive(from, to, bytes);
    assert.deepEqual(onion.dropsIn(again), [[1, "unexpected-cell", 1]], "the id is in use");
    // With another id it is answered like a late one, but nobody has the keys.
    const drops = onion.dropsIn(() => onion.arrive(from, to, withHeader(bytes, { id: 0x99 })));
    assert.deepEqual(drops, [[0, "unknown-circuit", 1]]);
    assert.deepEqual(onion.network.circuits, [2, 1, 1, 0]);
    const cell = crossings.find(({ bytes }) => bytes[0] === 0x61);
    const useless = () => onion.arrive(from, to, withHeader(cell!.bytes, { id: 0x99 }));
    assert.deepEqual(onion.dropsIn(useless), [[1, "forged", 1]], "sealed with other keys");
    onion.pass(900_000);
    assert.equal(onion.network.circuits[0], 0);
  },
);

Deno.test("attack on a build: a neighbour that fills a router's table, so new circuits go elsewhere", () => {
  const onion = new Onion({ hops: 2, network: { random: LOWEST } });
  onion.assertWorks();
  const ids = new CircuitIds(4);
  const flood = (count: number) => {
    for (let begun = 0; begun < count; begun++) {
      const begin = new Uint8Array(8);
      new DataView(begin.buffer).setUint32(0, 0x5200_0000);
      new DataView(begin.buffer).setUint32(4, ids.next(() => false));
      onion.network.medium.deliver(portOf(4), portOf(1), begin);
    }
    onion.listen();
  };
  flood(5000);
  assert.equal(onion.network.circuits[0], 4096);
  assert.equal(onion.count("circuits-full", 1), 5000 - 4095);
  onion.assertWorks({ sequence: 2 });
  assert.deepEqual(onion.exchange(packetsOf(pingOf({ source: "10.0.2.16" }))), []);
  assert.equal(onion.pass(1000).length, 1, "over another path");
  assert.deepEqual(onion.path, [2, 3]);
  onion.pass(900_000);
  assert.equal(onion.network.circuits[0], 0, "unused circuits are removed");
});
