/**
 * Stage 5 as a whole, in memory: plain circuits of several routers. Packets are readable on every
 * link, and each router replaces the source by its own address.
 *
 * @module
 */
import assert from "node:assert/strict";
import { address, cell, concat, hex, readIpv4 } from "../support/packets.ts";
import { exitOf, LOWEST, Onion, portOf, PROXY, VM } from "../support/circuits.ts";
import { dotted, packetsOf, pingOf } from "../support/ping.ts";

const CSAIL = "128.30.2.155";
const NOTHING = new Uint8Array();

/** A network with circuits of routers 1, 2 and 3. */
const make = () => new Onion({ hops: 3, network: { random: LOWEST } });

/** The body of a plain extend cell: the next router's data link, on loopback. */
const extendTo = (router: number) =>
  concat(hex("7f000001"), Uint8Array.of(portOf(router) >> 8, portOf(router)));

Deno.test("stage 5: writes the classic logs of every party for one ping", () => {
  const onion = make();
  onion.ping();
  assert.deepEqual(onion.lines.proxy, [
    `ICMP from tunnel, src: ${VM}, dst: ${CSAIL}, type: 8`,
    "hop: 1, router: 1",
    "hop: 2, router: 2",
    "hop: 3, router: 3",
    "incoming extend-done circuit, incoming: 0x01 from port: 40001",
    "incoming extend-done circuit, incoming: 0x01 from port: 40001",
    "incoming extend-done circuit, incoming: 0x01 from port: 40001",
    `incoming packet, circuit incoming: 0x01, src: ${CSAIL}, dst: ${VM}`,
  ]);
  assert.deepEqual(onion.lines.routers, [
    [
      "new extend circuit: incoming: 0x01, outgoing: 0x101 at 40002",
      "forwarding extend circuit: incoming: 0x01, outgoing: 0x101 at 40002",
      "relay packet, circuit incoming: 0x01, outgoing: 0x101, " +
      "incoming src: 10.0.2.15, outgoing src: 192.168.201.2, dst: 128.30.2.155",
      "relay reply packet, circuit incoming: 0x101, outgoing: 0x01, " +
      "src: 128.30.2.155, incoming dst: 192.168.201.2, outgoing dst: 10.0.2.15",
    ],
    [
      "new extend circuit: incoming: 0x101, outgoing: 0x201 at 40003",
      "relay packet, circuit incoming: 0x101, outgoing: 0x201, " +
      "incoming src: 192.168.201.2, outgoing src: 192.168.202.2, dst: 128.30.2.155",
      "relay reply packet, circuit incoming: 0x201, outgoing: 0x101, " +
      "src: 128.30.2.155, incoming dst: 192.168.202.2, outgoing dst: 192.168.201.2",
    ],
    [
      "outgoing packet, circuit incoming: 0x201, " +
      "incoming src: 192.168.202.2, outgoing src: 192.168.203.2, dst: 128.30.2.155",
      "incoming packet, src: 128.30.2.155, dst: 192.168.203.2, outgoing circuit: 0x201",
    ],
    [],
  ]);
});

Deno.test("stage 5: every router can read the packet, but sees only the previous hop", () => {
  const onion = make();
  onion.assertWorks();
  onion.watch();
  const ping = pingOf({ sequence: 2 });
  onion.exchange(packetsOf(ping));
  const seen = onion.crossed().map(({ from, to, bytes }) => {
    const { source, destination, payload } = readIpv4(bytes.subarray(8));
    assert.deepEqual(payload.subarray(8), packetsOf(ping)[0]!.subarray(28), "in the clear");
    return `${from} → ${to}: ${dotted(source)} → ${dotted(destination)}`;
  });
  assert.deepEqual(seen, [
    `40000 → 40001: ${VM} → ${CSAIL}`,
    `40001 → 40002: ${exitOf(1)} → ${CSAIL}`,
    `40002 → 40003: ${exitOf(2)} → ${CSAIL}`,
    `40003 → 40002: ${CSAIL} → ${exitOf(2)}`,
    `40002 → 40001: ${CSAIL} → ${exitOf(1)}`,
    `40001 → 40000: ${CSAIL} → ${VM}`,
  ]);
});

Deno.test("stage 5: builds a circuit with exactly these cells", () => {
  const onion = new Onion({ hops: 3, network: { random: LOWEST }, firstClient: address(VM) });
  onion.watch();
  onion.listen();
  const built = onion.crossed().map(({ from, to, bytes }) => ({ from, to, bytes }));
  const begin = (from: number, to: number, id: number) => [
    { from, to, bytes: cell(0x52, id, NOTHING) },
    { from: to, to: from, bytes: cell(0x53, id, NOTHING) },
  ];
  const [first, second, third] = [
    begin(PROXY, 40_001, 0x01),
    begin(40_001, 40_002, 0x101),
    begin(
      40_002,
      40_003,
      0x201,
    ),
  ];
  assert.deepEqual(built, [
    ...first,
    { from: PROXY, to: 40_001, bytes: cell(0x52, 0x01, extendTo(2)) },
    ...second,
    { from: 40_001, to: PROXY, bytes: cell(0x53, 0x01, extendTo(2)) },
    { from: PROXY, to: 40_001, bytes: cell(0x52, 0x01, extendTo(3)) },
    { from: 40_001, to: 40_002, bytes: cell(0x52, 0x101, extendTo(3)) },
    ...third,
    { from: 40_002, to: 40_001, bytes: cell(0x53, 0x101, extendTo(3)) },
    { from: 40_001, to: PROXY, bytes: cell(0x53, 0x01, extendTo(3)) },
  ]);
});

Deno.test("stage 5: repeated cells make a circuit no shorter", () => {
  for (let which = 0; which < 12; which++) {
    const onion = new Onion({ hops: 3, network: { random: LOWEST }, firstClient: address(VM) });
    let count = 0;
    onion.network.medium.tamper = (_from, _to, bytes) => count++ === which ? [bytes, bytes] : [bytes];
    onion.listen();
    onion.pass(5000);
    onion.assertWorks();
    assert.deepEqual(onion.left().map((packets) => packets.length), [0, 0, 1, 0], `the ${which}. cell twice`);
  }
});

Deno.test("stage 5: refuses an answer of another router", () => {
  const onion = new Onion({ hops: 3, network: { random: LOWEST }, firstClient: address(VM) });
  const caught = onion.intercept(portOf(1), PROXY, () => onion.listen());
  assert.deepEqual(caught, [cell(0x53, 0x01, NOTHING)]);
  const drops = onion.dropsIn(() => {
    for (const body of [extendTo(1), extendTo(2), extendTo(2).subarray(0, 5), Uint8Array.of(0)]) {
      onion.arrive(portOf(1), PROXY, cell(0x53, 0x01, body));
    }
    onion.arrive(portOf(2), PROXY, cell(0x53, 0x01, NOTHING));
  });
  assert.deepEqual(drops, [[0, "unexpected-cell", 4], [0, "unknown-circuit", 1]]);
  onion.arrive(portOf(1), PROXY, caught[0]!);
  assert.equal(onion.count("circuits-built"), 1, "the build still waits");
  onion.assertWorks();
});

Deno.test("stage 5: drops an extend cell to an unknown router, itself, the proxy, or back", () => {
  const onion = new Onion({ hops: 1, network: { random: LOWEST } });
  onion.assertWorks();
  const bodies = [
    concat(hex("01020304"), extendTo(2).subarray(4)), // another address
    concat(hex("00000000"), hex("1234")), // another port
    concat(hex("00000000"), hex("0000")), // no port
    concat(hex("00000000"), Uint8Array.of(PROXY >> 8, PROXY & 255)), // the proxy is no router
    extendTo(1), // itself
    extendTo(2).subarray(0, 5), // too short
    hex("00"),
  ];
  const drops = onion.dropsIn(() => {
    for (const body of bodies) assert.deepEqual(onion.arrive(PROXY, portOf(1), cell(0x52, 0x01, body)), []);
  });
  assert.deepEqual(drops, [[1, "bad-extend", bodies.length]]);
  onion.assertWorks({ sequence: 2 });

  // Router 2 is asked through router 1, and could extend back to it, or to the proxy.
  const longer = new Onion({ hops: 2, network: { random: LOWEST } });
  longer.assertWorks();
  const others = [bodies[3]!, extendTo(1), extendTo(2)];
  const backwards = longer.dropsIn(() => {
    for (const body of others) assert.deepEqual(longer.arrive(PROXY, portOf(1), cell(0x52, 0x01, body)), []);
  });
  assert.deepEqual(backwards, [[2, "bad-extend", others.length]]);
  longer.assertWorks({ sequence: 2 });
});

Deno.test("stage 5: passes no packet on before the next router has answered", () => {
  const onion = new Onion({ hops: 2, network: { random: LOWEST }, firstClient: address(VM) });
  const [answer] = onion.intercept(portOf(2), portOf(1), () => onion.listen());
  const early = cell(0x51, 0x01, packetsOf(pingOf())[0]!);
  assert.deepEqual(onion.dropsIn(() => onion.arrive(PROXY, portOf(1), early)), [[1, "unexpected-cell", 1]]);
  assert.deepEqual(onion.left().flat(), []);
  onion.arrive(portOf(2), portOf(1), answer!);
  onion.assertWorks();
});

Deno.test("stage 5: drops a reply to another router's address", () => {
  const onion = make();
  onion.assertWorks();
  const [reply] = onion.intercept(portOf(3), portOf(2), () => onion.ping({ sequence: 2 }));
  const other = onion.intercept(portOf(2), portOf(1), () => {
    onion.arrive(portOf(3), portOf(2), reply!);
  })[0]!;
  // A packet from router 1, on the circuit between 2 and 3.
  const forged = concat(reply!.subarray(0, 8), other.subarray(8));
  assert.deepEqual(
    onion.dropsIn(() => assert.deepEqual(onion.arrive(portOf(3), portOf(2), forged), [])),
    [[2, "bad-destination", 1]],
  );
  onion.assertWorks({ sequence: 3 });
});

Deno.test("stage 5: drops sealed cells and cells of unknown types", () => {
  const onion = make();
  onion.assertWorks();
  const types = [0x00, 0x50, 0x55, 0x61, 0x62, 0x63, 0x64, 0x65, 0x91, 0x92, 0xff];
  const drops = onion.dropsIn(() => {
    for (const type of types) {
      onion.arrive(PROXY, portOf(1), cell(type, 0x01, new Uint8Array(60)));
      onion.arrive(portOf(1), PROXY, cell(type, 0x01, new Uint8Array(60)));
    }
  });
  assert.deepEqual(drops, [
    [0, "unexpected-cell", types.length],
    [1, "unexpected-cell", types.length],
  ]);
  onion.assertWorks({ sequence: 2 });
});
