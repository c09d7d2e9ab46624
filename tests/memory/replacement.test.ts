/**
 * The life of circuits. They are replaced before they end, without loss. They end if unused, and
 * are built anew if routers die. Nothing is left of them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { CellType } from "../../src/cell/cell.ts";
import { CIRCUIT_LIMITS, CircuitPool } from "../../src/circuit/origin/pool.ts";
import { CIRCUIT_KINDS } from "../../src/circuit/kind.ts";
import { byClient } from "../../src/circuit/origin/key.ts";
import { OriginCircuit } from "../../src/circuit/origin/origin_circuit.ts";
import { Layer } from "../../src/crypto/layer.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import { Counters } from "../../src/trace/counters.ts";
import { SILENT } from "../../src/trace/events.ts";
import { HOP, LOWEST, Onion, type OnionOptions, portOf, PROXY, VM } from "../support/circuits.ts";
import { PROVIDER, testEach } from "../support/crypto.ts";
import { address } from "../support/packets.ts";
import { assertAnswers, type Heard, packetsOf, pingOf, tell } from "../support/ping.ts";
import { Random } from "../support/random.ts";
import { viewOf } from "../support/views.ts";
import { Witness } from "../support/witness.ts";
import { addressFromBits, LOOPBACK } from "../../src/ip/address.ts";

const CSAIL = "128.30.2.155";
const STAGES: readonly { stage: number; sealing: { crypto?: CryptoProvider } }[] = [
  { stage: 5, sealing: {} },
  { stage: 6, sealing: { crypto: PROVIDER } },
];

const sum = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);

/** Drops every datagram from or to these routers. */
function silence(onion: Onion, ...routers: readonly number[]): void {
  const ports = routers.map(portOf);
  onion.network.medium.tamper = (from, to, bytes) =>
    ports.includes(from) || ports.includes(to) ? [] : [bytes];
}

/** Pings at intervals for some time, and asserts that each ping is answered at once, and once. */
function pingFor(onion: Onion, ms: number, every: number): void {
  for (let sequence = 0; sequence * every < ms; sequence++) {
    onion.pass(every);
    onion.assertWorks({ sequence: sequence & 0xffff });
  }
}

for (const { stage, sealing } of STAGES) {
  const test = (name: string, fn: () => void) => Deno.test(`stage ${stage}: ${name}`, fn);
  const make = (options: OnionOptions = {}) => new Onion({ hops: 3, routers: 5, ...sealing, ...options });

  test("answers continuous pings across a hundred lifetimes, once each and without delay", () => {
    const onion = make({ limits: { lifetime: 2000, draining: 300 } });
    onion.assertWorks();
    pingFor(onion, 200_000, 137);
    const built = onion.count("circuits-built");
    assert.ok(built >= 100 && built <= 120, `${built} circuits`);
    assert.equal(onion.count("builds-failed"), 0);
    assert.deepEqual(onion.dropped(), []);
    assert.ok(sum(onion.network.circuits) <= 6, "the current circuit, and perhaps the previous one");
  });

  test("answers every ping once while cells that build and destroy circuits get lost", () => {
    const onion = make({ limits: { lifetime: 4000, draining: 300 } });
    const random = new Random(stage);
    // All cells without packets.
    onion.network.medium.tamper = (_from, _to, bytes) =>
      ![0x51, 0x54, 0x61, 0x64].includes(bytes[0]!) && random.oneIn(20) ? [] : [bytes];
    const heard: Heard[] = [];
    for (let sequence = 0; sequence < 2000; sequence++) {
      heard.push(...onion.exchange(packetsOf(pingOf({ sequence }))), ...onion.pass(101));
    }
    heard.push(...onion.pass(18_000));
    const sequences = heard.map(({ type, payload }) => type === 0 ? payload[6]! << 8 | payload[7]! : -1);
    assert.deepEqual(sequences, Array.from({ length: 2000 }, (_, sequence) => sequence), "in order");
    assert.ok(onion.count("builds-failed") > 10, "despite failed builds");
    onion.pass(70_000);
    assert.deepEqual(onion.network.circuits, [0, 0, 0, 0, 0]);
  });

  test("replaces a circuit after nine tenths of its lifetime, and drains it", () => {
    const onion = make({ limits: { lifetime: 10_000, draining: 1000 } });
    onion.assertWorks();
    onion.pass(8000);
    onion.assertWorks({ sequence: 2 });
    onion.pass(999);
    assert.equal(onion.count("circuits-built"), 1);
    onion.pass(1);
    assert.equal(onion.count("circuits-built"), 2, "at 9 s");
    assert.equal(sum(onion.network.circuits), 6, "both circuits exist");
    onion.pass(999);
    assert.equal(sum(onion.network.circuits), 6);
    onion.pass(1);
    assert.equal(sum(onion.network.circuits), 3, "at 10 s the old one is gone everywhere");
    onion.assertWorks({ sequence: 3 });
    assert.deepEqual(onion.dropped(), []);
  });

  test("accepts a reply that is under way while its circuit drains", () => {
    for (const [late, comes] of [[999, true], [1000, false]] as const) {
      const onion = make({ limits: { lifetime: 10_000, draining: 1000 }, network: { random: LOWEST } });
      onion.assertWorks();
      onion.pass(8999);
      const ping = pingOf({ sequence: 2 });
      const [answer] = onion.intercept(portOf(1), PROXY, () => onion.exchange(packetsOf(ping)));
      onion.pass(1);
      assert.equal(onion.count("circuits-built"), 2);
      onion.pass(late);
      const heard = onion.arrive(portOf(1), PROXY, answer!);
      assert.equal(heard.length, comes ? 1 : 0, `${late} ms later`);
      if (comes) assertAnswers(heard[0]!, ping);
    }
  });

  test("closes a circuit that is unused in the second half of its lifetime", () => {
    const onion = make({ limits: { lifetime: 10_000 } });
    onion.assertWorks();
    onion.pass(5000);
    onion.pass(3999);
    assert.equal(sum(onion.network.circuits), 3);
    onion.pass(1);
    assert.deepEqual([sum(onion.network.circuits), onion.count("circuits-built")], [0, 1], "at 9 s");
    assert.equal(onion.network.deadline > onion.network.now + 30_000, true, "nothing is scheduled");
    onion.assertWorks({ sequence: 2 });
    assert.equal(onion.count("circuits-built"), 2, "a returning client gets another");
  });

  test("uses the old circuit to its end if a replacement cannot be built", () => {
    const onion = make({ limits: { lifetime: 10_000, building: 2000 } });
    onion.assertWorks();
    onion.pass(8000);
    onion.assertWorks({ sequence: 2 });
    const begins: number[] = [sealing.crypto ? 0x65 : 0x52];
    onion.network.medium.tamper = (_from, _to, bytes) => begins.includes(bytes[0]!) ? [] : [bytes];
    onion.pass(1900);
    onion.assertWorks({ sequence: 3 });
    onion.pass(99);
    onion.assertWorks({ sequence: 4 });
    onion.pass(1);
    assert.equal(sum(onion.network.circuits), 0, "closed at 10 s, the end of its lifetime");
    const ping = pingOf({ sequence: 5 });
    assert.deepEqual(onion.exchange(packetsOf(ping)), [], "packets wait now");
    onion.unwatch();
    const heard = onion.pass(3000);
    assert.equal(heard.length, 1);
    assertAnswers(heard[0]!, ping);
  });

  test("leaves out a silent router, and loses no waiting packet", () => {
    for (let dead = 1; dead <= 5; dead++) {
      const onion = make({ network: { random: LOWEST } });
      silence(onion, dead);
      const ping = pingOf();
      const heard = onion.exchange(packetsOf(ping));
      heard.push(...onion.pass(5000));
      assert.equal(heard.length, 1, `without router ${dead}`);
      assertAnswers(heard[0]!, ping);
      assert.ok(!onion.path.includes(dead));
      assert.equal(onion.count("builds-failed"), dead <= 3 ? 1 : 0, "at most one failure");
    }
  });

  test("avoids two dead routers in time", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const onion = make({ network: { seed } });
      silence(onion, 2, 4);
      const heard = onion.exchange(packetsOf(pingOf()));
      heard.push(...onion.pass(18_000));
      assert.equal(heard.length, 1);
      assert.ok([0, 3].includes(heard[0]!.type));
    }
  });

  test("reports failure if all routers are dead, and recovers with them", () => {
    const onion = make();
    silence(onion, 1, 2, 3, 4, 5);
    const pings = [1, 2, 3].map((sequence) => pingOf({ sequence }));
    const heard: Heard[] = onion.exchange(packetsOf(pings[0]!));
    heard.push(...onion.pass(7000), ...onion.exchange(packetsOf(pings[1]!)), ...onion.pass(5900));
    assert.equal(heard.length, 0, "no report while there is time for another attempt");
    heard.push(...onion.pass(3000));
    assert.deepEqual(heard.map(tell), Array(2).fill(`${HOP}: net unreachable`));
    assert.equal(onion.count("no-circuit"), 2);
    assert.equal(onion.network.deadline, Infinity, "no attempts without packets");
    assert.deepEqual(onion.exchange(packetsOf(pings[2]!)), []);
    onion.pass(1000);
    onion.unwatch();
    const late = onion.pass(3000);
    assert.equal(late.length, 1, "the third ping waited for the routers");
    assertAnswers(late[0]!, pings[2]!);
    onion.assertWorks({ sequence: 4 });
  });

  test("refuses packets above the waiting limit, and answers the others", () => {
    const onion = make();
    silence(onion, 1, 2, 3, 4, 5);
    const pings = Array.from({ length: 300 }, (_, sequence) => pingOf({ sequence }));
    const refused = onion.exchange(pings.flatMap((ping) => packetsOf(ping)));
    assert.deepEqual(refused.map(tell), Array(300 - 256).fill(`${HOP}: net unreachable`));
    onion.unwatch();
    const heard = onion.pass(1000);
    assert.equal(heard.length, 256);
    heard.forEach((each, index) => assertAnswers(each, pings[index]!));
    const drops = onion.dropped().filter(([party]) => party === 0);
    assert.deepEqual(drops, [[0, "queue-full", 300 - 256]]);
  });

  test("avoids a router that dies while it carries a circuit", () => {
    const onion = make({ limits: { lifetime: 10_000 }, network: { random: LOWEST } });
    onion.assertWorks();
    silence(onion, 2);
    onion.pass(8000);
    assert.deepEqual(onion.ping({ sequence: 2 }), [], "packets are lost until then");
    onion.pass(4000);
    onion.assertWorks({ sequence: 3 });
    assert.ok(!onion.path.includes(2));
  });

  test("removes idle circuits at routers that got no destroy cell", () => {
    const onion = make({ limits: { lifetime: 10_000 }, network: { random: LOWEST } });
    onion.assertWorks();
    onion.network.medium.tamper = (_from, _to, bytes) => bytes[0] === CellType.destroy ? [] : [bytes];
    onion.pass(69_000);
    assert.equal(sum(onion.network.circuits), 3, "unknown to its proxy");
    onion.pass(70_000 / 4 + 1000);
    assert.deepEqual(onion.network.circuits, [0, 0, 0, 0, 0]);
    assert.equal(onion.network.deadline, Infinity);
  });

  test("keeps nothing of clients that come and go", () => {
    const onion = make({ limits: { lifetime: 10_000 } });
    for (let round = 0; round < 5; round++) {
      for (let client = 1; client <= 30; client++) onion.assertWorks({ source: `10.0.${round}.${client}` });
      onion.pass(2000);
    }
    onion.pass(20_000);
    assert.equal(onion.count("circuits-built"), 150);
    assert.deepEqual(onion.network.circuits, [0, 0, 0, 0, 0]);
  });
}

testEach(
  "replacement: wipes every key of an ended circuit and of a failed build, at both ends",
  (crypto) => {
    const witness = new Witness(crypto);
    const onion = new Onion({
      hops: 3,
      crypto: witness,
      limits: { lifetime: 1000, draining: 100 },
      network: { seed: 3 },
    });
    const own = witness.unwiped;
    onion.assertWorks();
    assert.equal(witness.alive, 12);
    pingFor(onion, 20_000, 190);
    assert.ok(witness.alive <= 36, "one open, one draining, one being built");
    onion.pass(2000);
    assert.equal(witness.alive, 0, "three layers of two keys at both ends of each");
    assert.equal(witness.unwiped, own);
    // Builds that stop at the second hop.
    const begun: number[] = [];
    onion.network.medium.tamper = (from, _to, bytes) =>
      bytes[0] === 0x65 && from > PROXY && begun.push(0) > 1 ? [] : [bytes];
    onion.exchange(packetsOf(pingOf()));
    onion.pass(18_000);
    onion.pass(120_000);
    assert.equal(onion.count("circuits-built") > 0 && onion.count("builds-failed") > 5, true);
    assert.deepEqual([witness.alive, witness.unwiped], [0, own]);
  },
);

testEach(
  "replacement: an ended circuit seals nothing, and sends nothing in the clear",
  (crypto) => {
    const key = () => globalThis.crypto.getRandomValues(new Uint8Array(32));
    const circuit = new OriginCircuit(1, [0], CIRCUIT_KINDS.sealed, addressFromBits(7));
    for (let hop = 0; hop < 3; hop++) circuit.addLayer(new Layer(crypto, { send: key(), receive: key() }));
    const packet = new PacketBuffer();
    packet.load(packetsOf(pingOf())[0]!);
    assert.equal(circuit.seal(packet, CellType.relaySealed), true);
    circuit[Symbol.dispose]();
    packet.load(packetsOf(pingOf())[0]!);
    assert.throws(() => circuit.seal(packet, CellType.relaySealed), TypeError);
  },
);

testEach("replacement: replaces a circuit early if its key has sealed its share", (crypto) => {
  const onion = new Onion({ hops: 3, crypto, limits: { cells: 100 } });
  for (let sequence = 1; sequence <= 1000; sequence++) onion.assertWorks({ sequence });
  const built = onion.count("circuits-built");
  assert.ok(built >= 10 && built <= 12, `${built} circuits for 1000 pings and what built them`);
});

Deno.test("replacement: builds the first client's circuit at once, and only once", () => {
  for (const comes of [[], ["10.0.2.15"], ["10.0.2.16"], ["10.0.2.16", "10.0.2.15"]]) {
    const begun: number[] = [];
    const owner = { send: (to: number) => void begun.push(to), opened: () => {}, failed: () => {} };
    const circuits = new CircuitPool(
      {
        kind: CIRCUIT_KINDS.plain,
        hops: 1,
        routers: [1, 2].map((router) => ({ link: { address: LOOPBACK, port: portOf(router) } })),
        keyOf: byClient,
        first: { key: address(VM), replyTo: address(VM) },
        limits: CIRCUIT_LIMITS,
      },
      owner,
      { counters: new Counters(), events: SILENT },
      LOWEST,
      undefined,
    );
    for (const client of comes) {
      assert.equal(circuits.choose(viewOf({ source: client, destination: CSAIL }), 5), "wait");
    }
    if (!comes.includes(VM)) assert.ok(circuits.deadline <= 5, "it is due");
    circuits.expire(5);
    assert.equal(begun.length, new Set([VM, ...comes]).size);
    assert.equal(circuits.deadline, 5 + CIRCUIT_LIMITS.answer);
  }
});
