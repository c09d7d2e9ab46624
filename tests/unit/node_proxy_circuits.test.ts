/**
 * The proxy with circuits that are built. The routers are real. The test plays the host and the
 * exits.
 *
 * ```
 *   test plays the host ── TUN ──► proxy ──► routers ──► test plays the exits
 *                       ◄── TUN ─── proxy ◄── routers ◄──
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import { CellType } from "../../src/cell/cell.ts";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import { longestPacket } from "../../src/circuit/kind.ts";
import { UNSPECIFIED } from "../../src/ip/address.ts";
import { flip } from "../support/crypto.ts";
import { event } from "../support/events.ts";
import {
  address,
  cell,
  concat,
  cutPlainly,
  echo,
  hex,
  ipv4,
  joinPlainly,
  pattern,
  readIpv4,
} from "../support/packets.ts";
import { ProxyRig } from "../support/proxy.ts";
import type { AtExit } from "../support/routers.ts";
import type { Snapshot } from "../../src/trace/counters.ts";

const [ALICE, BOB, CSAIL, HOP] = ["10.0.2.15", "10.0.2.16", "128.30.2.155", "10.5.51.1"];

/** A ping of the host. */
function ping(sequence: number, source = ALICE, data = pattern(56)): Uint8Array<ArrayBuffer> {
  return ipv4({ source, destination: CSAIL }, echo({ sequence, data }));
}

/** The fields of an ICMP error to the host: type, code, MTU, and the quoted packet. */
function told(packet: Uint8Array) {
  const { source, payload } = readIpv4(packet);
  assert.equal(source, address(HOP));
  const view = new DataView(payload.buffer, payload.byteOffset);
  return { type: payload[0], code: payload[1], mtu: view.getUint16(6), about: payload.subarray(8) };
}

for (const kind of ["plain", "sealed"] as const) {
  const isSealed = kind === "sealed";

  Deno.test(`proxy, ${kind}: lets packets wait for the first circuit, and sends them in order`, () => {
    const rig = new ProxyRig({ kind });
    rig.isJoined = false;
    rig.fromTun(ping(1), ping(2), ping(3));
    assert.deepEqual([rig.sent.length, rig.arrived], [1, []], "only the create cell was sent");
    rig.isJoined = true;
    rig.until(CIRCUIT_LIMITS.answer + CIRCUIT_LIMITS.pause);
    assert.deepEqual(rig.arrived, [1, 2, 3]);
    rig.fromTun(ping(4));
    assert.deepEqual(rig.arrived, [1, 2, 3, 4]);
    assert.deepEqual(rig.dropped(), {});
    assert.equal(rig.counted()["circuits-built"], 1);
  });

  Deno.test(`proxy, ${kind}: delivers a reply to its client, and logs it with its circuit`, () => {
    const rig = new ProxyRig({ kind });
    rig.fromTun(ping(1));
    const { id } = rig.circuit;
    rig.log.clear();
    rig.answer(rig.routers.atExit[0]!, echo({ type: 0, data: pattern(56) }));
    assert.deepEqual(rig.toTun, [
      ipv4({ source: CSAIL, destination: ALICE }, echo({ type: 0, data: pattern(56) })),
    ]);
    const [source, destination] = [address(CSAIL), address(ALICE)];
    assert.deepEqual(rig.log.events, [
      event("incoming-packet", { source, destination, incoming: id }),
    ]);
  });

  Deno.test(`proxy, ${kind}: delivers an ICMP error that quotes the client's packet`, () => {
    const rig = new ProxyRig({ kind });
    const sent = ping(1);
    rig.fromTun(sent);
    const at = rig.routers.atExit[0]!;
    rig.answer(at, echo({ type: 11, id: 0, sequence: 0, data: at.packet }), "100.64.1.1");
    const { source, destination, payload } = readIpv4(rig.toTun[0]!);
    assert.deepEqual([source, destination], [address("100.64.1.1"), address(ALICE)]);
    assert.deepEqual(payload, echo({ type: 11, id: 0, sequence: 0, data: sent }));
  });

  Deno.test(`proxy, ${kind}: gives two clients a circuit each`, () => {
    const rig = new ProxyRig({ kind });
    rig.fromTun(ping(1, ALICE), ping(2, BOB));
    assert.equal(rig.counted()["circuits-built"], 2);
    const [one, other] = rig.routers.atExit as [AtExit, AtExit];
    for (const [index, at] of [one, other].entries()) {
      const packet = ipv4({ source: CSAIL, destination: `192.168.20${at.router}.2` }, echo({ type: 0 }));
      const firsts = rig.sent.filter(({ cell }) => cell[7] === index + 1).map(({ router }) => router);
      for (const bytes of rig.routers.answer(at, packet)) rig.fromLink(bytes, firsts[0]);
    }
    assert.deepEqual(rig.toTun.map((packet) => readIpv4(packet).destination), [ALICE, BOB].map(address));
  });

  Deno.test(`proxy, ${kind}: fragments a long packet, which the exit reassembles`, () => {
    const hops = 3;
    const rig = new ProxyRig({ kind, linkMtu: 1500, hops });
    const [message, longest] = [
      echo({ data: pattern(3000) }),
      longestPacket(1500, isSealed ? "sealed" : "plain", hops),
    ];
    rig.fromTun(ipv4({ source: ALICE, destination: CSAIL }, message));
    assert.deepEqual(rig.routers.atExit.map(({ packet }) => readIpv4(packet).payload), [message]);
    const cells = rig.sent.filter(({ cell }) => cell[0] === (isSealed ? 0x61 : 0x51));
    assert.equal(cells.length, Math.ceil(message.length / ((longest - 20) & ~7)));
    for (const { cell } of cells) assert.ok(cell.length <= 1500 - 20 - 8, "not too long for the link");
    assert.deepEqual(rig.dropped(), {});
  });

  Deno.test(`proxy, ${kind}: lets fragments wait like any packet`, () => {
    const rig = new ProxyRig({ kind });
    const message = echo({ data: pattern(4000) });
    rig.fromTun(...cutPlainly({ source: ALICE, destination: CSAIL }, message, 1480));
    assert.deepEqual(rig.routers.atExit.map(({ packet }) => readIpv4(packet).payload), [message]);
    assert.equal(rig.log.events.filter(({ kind }) => kind === "icmp-from-tunnel").length, 1);
  });

  Deno.test(`proxy, ${kind}: still accepts replies on a circuit that was replaced`, () => {
    const rig = new ProxyRig({ kind, limits: { lifetime: 10_000 } });
    rig.fromTun(ping(1));
    const [at] = rig.routers.atExit as [AtExit];
    rig.until(8000).fromTun(ping(2));
    rig.until(9000);
    assert.equal(rig.counted()["circuits-built"], 2);
    rig.answer(at, echo({ type: 0 }));
    assert.equal(rig.toTun.length, 1);
    rig.until(30_000);
    rig.toTun.length = 0;
    rig.answer(at, echo({ type: 0 }));
    assert.deepEqual(rig.toTun, [], "the circuit is gone later");
  });

  Deno.test(`proxy, ${kind}: reports every waiting packet if no circuit can be built`, () => {
    for (const isLoud of [true, false]) {
      const rig = new ProxyRig({ kind, ...(isLoud && { refuseAs: HOP }) });
      rig.isJoined = false;
      rig.fromTun(ping(1), ping(2));
      rig.until(30_000);
      assert.deepEqual(rig.dropped(), { "no-circuit": 2 });
      const want = [ping(1), ping(2)].map((about) => ({ type: 3, code: 0, mtu: 0, about }));
      assert.deepEqual(rig.toTun.map(told), isLoud ? want : []);
      assert.equal(rig.core.deadline, Infinity);
    }
  });

  Deno.test(`proxy, ${kind}: refuses the 257th waiting packet, and tells the host`, () => {
    const rig = new ProxyRig({ kind, refuseAs: HOP });
    rig.isJoined = false;
    for (let sequence = 0; sequence < 257; sequence++) rig.fromTun(ping(sequence & 0xff, ALICE, hex("")));
    assert.deepEqual(rig.dropped(), { "queue-full": 1 });
    assert.deepEqual(rig.toTun.map(told), [{ type: 3, code: 0, mtu: 0, about: ping(0, ALICE, hex("")) }]);
    rig.isJoined = true;
    rig.until(1000);
    assert.equal(rig.arrived.length, 256, "the earlier ones get through");
  });

  Deno.test(`proxy, ${kind}: refuses a client above the limit at once`, () => {
    const rig = new ProxyRig({ kind, refuseAs: HOP, limits: { circuits: 1 } });
    rig.fromTun(ping(1, ALICE), ping(2, BOB));
    assert.deepEqual(rig.dropped(), { "circuits-full": 1 });
    assert.deepEqual(rig.toTun.map(told), [{ type: 3, code: 0, mtu: 0, about: ping(2, BOB) }]);
    assert.deepEqual(rig.arrived, [1]);
  });

  Deno.test(`proxy, ${kind}: reports its MTU for a long packet with don't-fragment`, () => {
    const rig = new ProxyRig({ kind, refuseAs: HOP, linkMtu: 1500 });
    const longest = isSealed ? 1392 : 1464;
    const header = { source: ALICE, destination: CSAIL, dontFragment: true };
    const [fits, not] = [longest - 28, longest - 27].map((size) =>
      ipv4(header, echo({ data: pattern(size) }))
    );
    rig.fromTun(fits!, not!);
    assert.deepEqual(rig.dropped(), { "too-long": 1 });
    const { type, code, mtu } = told(rig.toTun[0]!);
    assert.deepEqual([type, code, mtu], [3, 4, longest]);
    assert.equal(rig.arrived.length, 1);
  });

  Deno.test(`proxy, ${kind}: drops a packet that is not a reply`, () => {
    const cases: [what: string, message: Uint8Array, protocol: number, reason: keyof Snapshot][] = [
      ["a request", echo(), 1, "not-a-reply"],
      ["a redirect", echo({ type: 5 }), 1, "not-a-reply"],
      ["a wrong checksum", echo({ type: 0, checksum: 1 }), 1, "icmp-checksum"],
      ["half a message", echo({ type: 0 }).subarray(0, 7), 1, "bad-length"],
      ["UDP", pattern(8), 17, "not-carried"],
    ];
    for (const [what, message, protocol, reason] of cases) {
      const rig = new ProxyRig({ kind });
      rig.fromTun(ping(1));
      const at = rig.routers.atExit[0]!;
      const packet = ipv4({ source: CSAIL, destination: `192.168.20${at.router}.2`, protocol }, message);
      for (const bytes of rig.routers.answer(at, packet)) rig.fromLink(bytes, rig.circuit.router);
      assert.deepEqual(rig.dropped(), { [reason]: 1 }, what);
      assert.deepEqual(rig.toTun, [], what);
    }
  });

  Deno.test(`proxy, ${kind}: drops every cell type in every state that does not expect it`, () => {
    const back = isSealed ? CellType.returnSealed : CellType.returnData;
    for (let type = 0; type < 256; type++) {
      const what = `0x${type.toString(16)}`;
      const building = new ProxyRig({ kind });
      building.isJoined = false;
      building.fromTun(ping(1));
      const { id, router } = building.circuit;
      building.fromLink(cell(type, id, hex("00")), router);
      // A wrong answer while an answer is expected.
      const answer = isSealed && type === CellType.handshake ? "bad-handshake" : "unexpected-cell";
      assert.deepEqual(building.dropped(), { [answer]: 1 }, `${what}, building`);
      assert.equal(building.sent.length, 1);

      if (type === back) continue;
      const open = new ProxyRig({ kind, hops: 1 });
      open.fromTun(ping(1));
      const known = open.circuit;
      open.fromLink(cell(type, known.id, hex("00")), known.router);
      assert.deepEqual(open.dropped(), { "unexpected-cell": 1 }, `${what}, open`);
      open.fromTun(ping(2));
      assert.deepEqual(open.arrived, [1, 2], "the circuit still works");
    }
  });

  Deno.test(`proxy, ${kind}: logs an unknown circuit, or that of another router, with id and port`, () => {
    const rig = new ProxyRig({ kind, hops: 1 });
    rig.fromTun(ping(1));
    const { id, router } = rig.circuit;
    rig.log.clear();
    const other = router % 4 + 1;
    const type = isSealed ? CellType.returnSealed : CellType.returnData;
    rig.fromLink(cell(type, 0xdead_beef, ping(1)), router);
    rig.fromLink(cell(type, id, ping(1)), other);
    assert.deepEqual(rig.log.events, [
      event("unknown-circuit", {
        circuit: 0xdead_beef,
        source: UNSPECIFIED,
        destination: UNSPECIFIED,
        port: 40_000 + router,
      }),
      event("unknown-circuit", {
        circuit: id,
        source: UNSPECIFIED,
        destination: UNSPECIFIED,
        port: 40_000 + other,
      }),
    ]);
    assert.deepEqual(rig.dropped(), { "unknown-circuit": 2 });
  });
}

Deno.test("proxy, sealed: blanks the client's address before it seals", () => {
  const rig = new ProxyRig({ hops: 1 });
  rig.isJoined = false;
  rig.fromTun(ping(1));
  rig.isJoined = true;
  rig.until(600).fromTun(ping(2));
  const events = rig.routers.logs.flatMap(({ events }) => events);
  const sources = events.flatMap((event) => event.kind === "outgoing-packet" ? [event.source] : []);
  assert.deepEqual(sources, [0, 0], "also in waiting packets");
});

Deno.test("proxy, plain: shows the client's address to the first router", () => {
  const rig = new ProxyRig({ kind: "plain", hops: 1 });
  rig.fromTun(ping(1));
  const events = rig.routers.logs.flatMap(({ events }) => events);
  assert.deepEqual(events.map((event) => "source" in event && event.source), [address(ALICE)]);
});

Deno.test("proxy, sealed: drops forged, replayed and truncated cells", () => {
  const ways: [reason: keyof Snapshot, tamper: (cell: Uint8Array) => Uint8Array[], arrive: number][] = [
    ["forged", (bytes) => [flip(bytes, 8 * bytes.length - 1)], 0],
    ["replayed", (bytes) => [bytes, bytes], 1],
    ["truncated", (bytes) => [bytes.subarray(0, 8 + 23)], 0],
    ["bad-cell", (bytes) => [bytes.subarray(0, 7)], 0],
  ];
  for (const [reason, tamper, arrive] of ways) {
    const rig = new ProxyRig();
    rig.fromTun(ping(1));
    rig.tamper = tamper;
    rig.answer(rig.routers.atExit[0]!, echo({ type: 0 }));
    assert.deepEqual(rig.dropped(), { [reason]: 1 });
    assert.equal(rig.toTun.length, arrive, reason);
  }
});

Deno.test("proxy, sealed: ignores a forged handshake answer", () => {
  const rig = new ProxyRig();
  rig.tamper = (bytes) =>
    bytes[0] === CellType.handshake ? [concat(bytes.subarray(0, 8), pattern(48))] : [bytes];
  rig.fromTun(ping(1));
  assert.deepEqual(rig.dropped(), { "bad-handshake": 1 });
  rig.tamper = (bytes) => [bytes];
  rig.until(1000);
  assert.deepEqual(rig.arrived, [1], "over another circuit");
});

Deno.test("proxy: opens the circuit of the first client at once", () => {
  const rig = new ProxyRig({ firstClient: ALICE });
  assert.equal(rig.core.deadline, -Infinity);
  rig.until(0);
  assert.equal(rig.counted()["circuits-built"], 1);
  const sent = rig.sent.length;
  rig.fromTun(ping(1));
  assert.equal(rig.sent.length, sent + 1);
  assert.deepEqual(rig.arrived, [1]);
});

Deno.test("proxy: counts what the link or the host refuses", () => {
  const rig = new ProxyRig({ kind: "plain", hops: 1 });
  rig.takes = false;
  rig.fromTun(ping(1));
  rig.answer(rig.routers.atExit[0]!, echo({ type: 0 }));
  const { "link-refused": cells, "tun-refused": packets } = rig.counted();
  assert.deepEqual([cells, packets], [2, 1]);
});

Deno.test("proxy, sealed: delivers the fragments of a reply one by one", () => {
  for (const kind of ["plain", "sealed"] as const) {
    const rig = new ProxyRig({ kind });
    rig.fromTun(ping(1));
    const message = echo({ type: 0, data: pattern(4000) });
    rig.answer(rig.routers.atExit[0]!, message);
    assert.equal(rig.toTun.length, 3);
    for (const piece of rig.toTun) assert.equal(readIpv4(piece).destination, address(ALICE));
    assert.deepEqual(joinPlainly(rig.toTun), message);
  }
});
