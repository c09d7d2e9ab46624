import assert from "node:assert/strict";
import { CellType } from "../../src/cell/cell.ts";
import type { Snapshot } from "../../src/trace/counters.ts";
import { event } from "../support/events.ts";
import {
  address,
  cell as makeCell,
  concat,
  cutPlainly,
  echo,
  hex,
  ipv4,
  joinPlainly,
  pattern,
} from "../support/packets.ts";
import { Routers } from "../support/routers.ts";
import { UNSPECIFIED } from "../../src/ip/address.ts";

const PORT = 40_000;
const CIRCUIT = 1;
const MTU = 1500;
const ADDRESS = address("192.168.201.2");
/** The handle of the router's only circuit. */
const HANDLE = 1;

/*
 *   test plays the proxy ──► router ──► test plays the exit
 *                        ◄── router ◄──
 */
function makeRouter(takes = true) {
  const routers = new Routers(1, "direct");
  routers.takes = takes;
  return {
    core: routers.cores[0]!,
    exit: routers.exits[0]!,
    fromLink: (datagram: Uint8Array, now = 0) => routers.send(1, [datagram], 0, now),
    fromExit: (packet: Uint8Array, handle = HANDLE, isFromWorld = false) =>
      routers.answer({ router: 1, handle }, packet, isFromWorld),
    get toNeighbour() {
      return routers.carried.map(({ cell }) => cell);
    },
    get atExit() {
      return routers.atExit.map(({ handle, packet }) => [handle, packet] as const);
    },
    get events() {
      return routers.logs[0]!.events;
    },
    counted: () => routers.counted(1),
  };
}

/** A cell of this link. */
function cell(packet: Uint8Array, type: number = CellType.relayData, circuit = CIRCUIT): Uint8Array {
  return makeCell(type, circuit, packet);
}

const REQUEST = ipv4({}, echo({ data: pattern(56) }));

Deno.test("router: hands a packet to its exit unchanged, with the circuit's handle, and logs it", () => {
  const router = makeRouter();
  router.fromLink(cell(REQUEST));
  assert.deepEqual(router.atExit, [[HANDLE, REQUEST]]);
  assert.deepEqual(router.counted(), { "link-in": 1 });
  assert.deepEqual(router.events, [
    event("icmp-from-port", {
      source: address("10.5.51.2"),
      destination: address("10.5.51.7"),
      type: 8,
      port: PORT,
    }),
  ]);
});

Deno.test("router: sends a reply of the exit back in one cell", () => {
  const router = makeRouter();
  router.fromExit(REQUEST);
  assert.deepEqual(router.toNeighbour, [concat(hex("54 000000 00000001"), REQUEST)]);
  assert.deepEqual(router.counted(), { "link-out": 1 });
});

Deno.test("router: fragments a reply to the MTU, one cell for each fragment", () => {
  const router = makeRouter();
  const message = echo({ type: 0, data: pattern(5000) });
  router.fromExit(ipv4({}, message));
  assert.equal(router.toNeighbour.length, 4);
  for (const sent of router.toNeighbour) assert.ok(sent.length <= 8 + MTU);
  assert.deepEqual(joinPlainly(router.toNeighbour.map((sent) => sent.subarray(8))), message);
  assert.deepEqual(router.counted(), { "link-out": 4 });
});

Deno.test("router: counts what the kernel refuses", () => {
  const router = makeRouter(false);
  router.fromExit(REQUEST);
  assert.deepEqual(router.counted(), { "link-refused": 1 });
});

Deno.test("router: reassembles fragments before the exit, and logs one line", () => {
  const router = makeRouter();
  const message = echo({ data: pattern(5000) });
  const fragments = cutPlainly({}, message, 1480);
  for (const fragment of fragments.toReversed()) {
    assert.deepEqual(router.atExit, []);
    router.fromLink(cell(fragment));
  }
  assert.deepEqual(router.atExit, [[HANDLE, ipv4({}, message)]]);
  assert.equal(router.events.length, 1);
  assert.deepEqual(router.counted(), { "link-in": fragments.length });
  assert.equal(router.core.deadline, Infinity);
});

Deno.test("router: counts and drops malformed datagrams", () => {
  const cases: [what: string, datagram: Uint8Array, reason: keyof Snapshot][] = [
    ["nothing", hex(""), "bad-cell"],
    ["half a cell header", cell(hex("")).subarray(0, 7), "bad-cell"],
    ["a packet without a cell", REQUEST, "bad-cell"],
    ["our own, turned back", cell(REQUEST, CellType.returnData), "unexpected-cell"],
    ["an unknown type", cell(REQUEST, 0), "unexpected-cell"],
    ["another circuit", cell(REQUEST, CellType.relayData, CIRCUIT + 1), "unknown-circuit"],
    ["a cell of nothing", cell(hex("")), "not-ipv4"],
    ["IPv6", cell(concat(hex("60"), pattern(39))), "not-ipv4"],
    ["cut short", cell(REQUEST.subarray(0, -1)), "bad-length"],
    ["a wrong header checksum", cell(ipv4({ checksum: 1 }, echo())), "header-checksum"],
    ["a fragment of no multiple of 8", cell(ipv4({ moreFragments: true }, pattern(9))), "bad-fragment"],
    ["TCP", cell(ipv4({ protocol: 6 }, pattern(20))), "not-carried"],
    ["a fragment of UDP", cell(ipv4({ protocol: 17, offset: 8 }, pattern(8))), "not-carried"],
    ["half an ICMP header", cell(ipv4({}, echo().subarray(0, 7))), "bad-length"],
    ["a wrong ICMP checksum", cell(ipv4({}, echo({ checksum: 1 }))), "icmp-checksum"],
  ];
  for (const [what, datagram, reason] of cases) {
    const router = makeRouter();
    router.fromLink(datagram);
    assert.deepEqual(router.counted(), { "link-in": 1, [reason]: 1 }, what);
    assert.deepEqual(router.atExit, [], what);
  }
});

Deno.test("router: counts a damaged datagram once, and not for each fragment", () => {
  const router = makeRouter();
  const message = echo({ data: pattern(100) });
  message[50]! ^= 1;
  for (const fragment of cutPlainly({}, message, 48)) router.fromLink(cell(fragment));
  assert.deepEqual(router.atExit, []);
  assert.deepEqual(router.counted(), { "link-in": 3, "icmp-checksum": 1 });
});

Deno.test("router: counts contradicting, excess and late fragments", () => {
  const router = makeRouter();
  const [first] = cutPlainly({ id: 1 }, echo({ data: pattern(100) }), 48) as [Uint8Array];
  const other = first.slice();
  other[30]! ^= 1;
  router.fromLink(cell(first));
  router.fromLink(cell(other));
  assert.equal(router.counted()["fragment-overlap"], 1);

  for (let id = 0; id < 65; id++) {
    router.fromLink(cell(cutPlainly({ id }, echo({ data: pattern(100) }), 48)[0]!), 1000);
  }
  assert.equal(router.counted()["reassembly-full"], 1);
  assert.equal(router.core.deadline, 31_000);
  router.core.expire(30_999);
  assert.equal(router.counted()["reassembly-timeout"], undefined);
  router.core.expire(31_000);
  assert.equal(router.counted()["reassembly-timeout"], 64);
  assert.equal(router.core.deadline, Infinity);
});

Deno.test("router: logs an unknown circuit with its id, port and readable addresses", () => {
  const id = { circuit: 0xdead_beef, port: PORT };
  const nobody = { source: UNSPECIFIED, destination: UNSPECIFIED };
  const addresses = { source: address("10.5.51.2"), destination: address("10.5.51.7") };
  const cases: [what: string, packet: Uint8Array, type: CellType, addresses: typeof nobody][] = [
    ["a packet", REQUEST, CellType.relayData, addresses],
    ["a packet on its way back", REQUEST, CellType.returnData, addresses],
    ["no packet", hex("00"), CellType.relayData, nobody],
    ["an extension", hex("00000000 0001"), CellType.extend, nobody],
  ];
  for (const [what, packet, type, addresses] of cases) {
    const router = makeRouter();
    router.fromLink(cell(packet, type, 0xdead_beef));
    assert.deepEqual(router.events, [event("unknown-circuit", { ...id, ...addresses })], what);
  }
});

Deno.test("router: takes only packets on a direct circuit", () => {
  for (let type = 0; type < 256; type++) {
    if (type === CellType.relayData) continue;
    const router = makeRouter();
    router.fromLink(cell(hex("00000000 0001"), type));
    assert.deepEqual(router.counted(), { "link-in": 1, "unexpected-cell": 1 }, `0x${type.toString(16)}`);
    assert.equal(router.core.circuits, 1);
  }
});

Deno.test("router: creates no circuits if they are direct", () => {
  const router = makeRouter();
  router.fromLink(cell(hex(""), CellType.extend, CIRCUIT + 1));
  router.fromLink(cell(pattern(48), CellType.handshake, CIRCUIT + 1));
  assert.deepEqual(router.counted(), { "link-in": 2, "unknown-circuit": 1, "unexpected-cell": 1 });
  assert.deepEqual([router.core.circuits, router.toNeighbour], [1, []]);
});

Deno.test("router: logs a reply from the world with its own address, and its exit's own replies not at all", () => {
  const router = makeRouter();
  const answer = ipv4({ source: "10.5.51.7", destination: "10.5.51.2" }, echo({ type: 11 }));
  router.fromExit(answer, HANDLE, false);
  assert.deepEqual(router.events, []);
  router.fromExit(answer, HANDLE, true);
  const [told] = router.events;
  assert.deepEqual(
    told,
    event("icmp-from-raw-socket", { source: address("10.5.51.7"), destination: ADDRESS, type: 11 }),
  );
  assert.deepEqual(router.toNeighbour.map((sent) => sent.subarray(8)), [answer, answer], "unchanged");
});

Deno.test("router: drops a reply to an unknown circuit", () => {
  const router = makeRouter();
  router.fromExit(REQUEST, HANDLE + 1);
  assert.deepEqual(router.counted(), { "unknown-circuit": 1 });
  assert.deepEqual(router.toNeighbour, []);
});

Deno.test("router: keeps the deadline of its exit", () => {
  const router = makeRouter();
  router.exit.deadline = 500;
  assert.equal(router.core.deadline, 500);
  router.core.expire(499);
  assert.equal(router.exit.expired, 0);
  router.core.expire(500);
  assert.equal(router.exit.expired, 1);
});
