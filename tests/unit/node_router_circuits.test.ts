/**
 * Routers that create and extend circuits, and forward cells. The test plays the proxy, and
 * sometimes a neighbour that breaks the rules.
 *
 * ```
 *   test ── 0x01 ──► router 1 ── 0x101 ──► router 2 ── 0x201 ──► router 3 ──► exit
 *   10.0.2.15        192.168.201.2         192.168.202.2         192.168.203.2
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import { CellType } from "../../src/cell/cell.ts";
import { HOP_LIMITS } from "../../src/circuit/relay/hop_table.ts";
import type { OriginCircuit } from "../../src/circuit/origin/origin_circuit.ts";
import { PROLOGUE } from "../../src/circuit/prologue.ts";
import { Layer } from "../../src/crypto/layer.ts";
import { initiate } from "../../src/crypto/noise.ts";
import type { Snapshot } from "../../src/trace/counters.ts";
import { flip, PROVIDER } from "../support/crypto.ts";
import { event, type Timeless } from "../support/events.ts";
import {
  address,
  addressNumber,
  cell,
  concat,
  cutPlainly,
  echo,
  hex,
  ipv4,
  joinPlainly,
  pattern,
  poisoned,
  readIpv4,
} from "../support/packets.ts";
import { Routers } from "../support/routers.ts";
import { type IpAddress, UNSPECIFIED } from "../../src/ip/address.ts";

const [VM, CSAIL] = ["10.0.2.15", "128.30.2.155"];
const [ONE, TWO, THREE] = ["192.168.201.2", "192.168.202.2", "192.168.203.2"].map(address) as [
  IpAddress,
  IpAddress,
  IpAddress,
];
const { extend: EXTEND, extendDone: EXTEND_DONE, relayData: RELAY, returnData: RETURN, destroy: DESTROY } =
  CellType;
const { sealedExtend, sealedExtendDone, relaySealed, returnSealed, handshake } = CellType;
const NOTHING = hex("");

const REQUEST = ipv4({ source: VM, destination: CSAIL }, echo({ data: pattern(56) }));

/** The body of an extend cell to a router. */
function to(router: number): Uint8Array {
  return hex(`7f000001 ${(40_000 + router).toString(16)}`);
}

/** The cell that a circuit makes of an outbound body. */
function sealed(
  circuit: OriginCircuit,
  body: Uint8Array,
  type: CellType = circuit.kind.relay,
): Uint8Array {
  const buffer = poisoned(body);
  assert.equal(circuit.seal(buffer, type), true);
  return buffer.copy();
}

/** The contents of cells that came back on a circuit. */
function peeled(circuit: OriginCircuit, cells: readonly Uint8Array[]): Uint8Array[] {
  return cells.map((bytes) => {
    assert.equal(bytes[0], circuit.kind.back);
    const buffer = poisoned(bytes);
    assert.equal(circuit.peel(buffer, circuit.kind.back), undefined);
    return buffer.copy();
  });
}

/** The drops of a router, by reason. */
function dropped(routers: Routers, router: number): Snapshot {
  const { "link-in": _in, "link-out": _out, ...rest } = routers.counted(router);
  return rest;
}

for (const kind of ["plain", "sealed"] as const) {
  const isSealed = kind === "sealed";

  Deno.test(`router, ${kind}: the exit gets packets from the last router's address, and the client gets the reply`, () => {
    const routers = new Routers(4, kind);
    const circuit = routers.build([1, 2, 3]);
    assert.deepEqual(routers.send(1, [sealed(circuit, REQUEST)]), []);
    const [{ router, handle, packet }, ...more] = routers.atExit as [Routers["atExit"][0]];
    assert.deepEqual([router, more], [3, []]);
    assert.deepEqual(packet, ipv4({ source: "192.168.203.2", destination: CSAIL }, REQUEST.subarray(20)));

    const reply = echo({ type: 0, data: pattern(56) });
    const answer = ipv4({ source: CSAIL, destination: "192.168.203.2", ttl: 50 }, reply);
    const [back, ...others] = peeled(circuit, routers.answer({ router, handle }, answer));
    assert.deepEqual(others, []);
    assert.deepEqual(back, ipv4({ source: CSAIL, destination: VM, ttl: 50 }, reply));
    for (const each of [1, 2, 3, 4]) assert.deepEqual(dropped(routers, each), {});
  });

  Deno.test(`router, ${kind}: restores the client's packet in the quote of an ICMP error`, () => {
    for (const path of [[2], [2, 1], [4, 2, 1, 3]]) {
      const routers = new Routers(4, kind);
      const circuit = routers.build(path);
      routers.send(path[0]!, [sealed(circuit, REQUEST)]);
      const [{ packet, ...at }] = routers.atExit as [Routers["atExit"][0]];
      const source = "100.64.1.1";
      const own = `192.168.20${at.router}.2`;
      const error = ipv4({ source, destination: own }, echo({ type: 11, id: 0, sequence: 0, data: packet }));
      const [back] = peeled(circuit, routers.answer(at, error));
      const { payload, ...header } = readIpv4(back!);
      assert.deepEqual([header.source, header.destination], [address(source), address(VM)]);
      assert.deepEqual(payload, echo({ type: 11, id: 0, sequence: 0, data: REQUEST }));
    }
  });

  Deno.test(`router, ${kind}: leaves the quote of another sender's packet alone`, () => {
    const routers = new Routers(2, kind);
    const circuit = routers.build([1]);
    routers.send(1, [sealed(circuit, REQUEST)]);
    const quote = ipv4({ source: "192.0.2.1", destination: CSAIL }, echo());
    const error = ipv4({ source: CSAIL, destination: "192.168.201.2" }, echo({ type: 3, data: quote }));
    const [back] = peeled(circuit, routers.answer(routers.atExit[0]!, error));
    assert.deepEqual(readIpv4(back!).payload, echo({ type: 3, data: quote }));
    assert.equal(readIpv4(back!).destination, address(VM));
  });

  Deno.test(`router, ${kind}: reassembles at the exit, and fragments long replies`, () => {
    const routers = new Routers(3, kind);
    const circuit = routers.build([1, 2]);
    const message = echo({ data: pattern(4000) });
    const fragments = cutPlainly({ source: VM, destination: CSAIL }, message, 1400);
    routers.send(1, fragments.toReversed().map((fragment) => sealed(circuit, fragment)));
    assert.deepEqual(
      routers.atExit.map(({ packet }) => packet),
      [ipv4({ source: "192.168.202.2", destination: CSAIL }, message)],
    );
    const answer = ipv4({ source: CSAIL, destination: "192.168.202.2" }, message);
    const pieces = peeled(circuit, routers.answer(routers.atExit[0]!, answer));
    assert.equal(pieces.length, 3);
    for (const piece of pieces) {
      assert.ok(piece.length <= 1500 && readIpv4(piece).destination === address(VM));
    }
    assert.deepEqual(joinPlainly(pieces), message);
  });

  Deno.test(`router, ${kind}: never joins fragments of two circuits`, () => {
    const routers = new Routers(3, kind);
    const [one, other] = [routers.build([1, 2], 1), routers.build([1, 2], 2)];
    const header = { source: VM, destination: CSAIL, id: 7 };
    const [mine, theirs] = [echo({ data: pattern(1000) }), echo({ data: pattern(1000, 99) })];
    const [first, second] = cutPlainly(header, mine, 520) as [Uint8Array, Uint8Array];
    const [theirFirst, theirSecond] = cutPlainly(header, theirs, 520) as [Uint8Array, Uint8Array];
    routers.send(1, [sealed(one, first), sealed(other, theirSecond)]);
    assert.equal(routers.atExit.length, 0);
    routers.send(1, [sealed(other, theirFirst), sealed(one, second)]);
    assert.deepEqual(routers.atExit.map(({ packet }) => readIpv4(packet).payload), [theirs, mine]);
    assert.notEqual(routers.atExit[0]!.handle, routers.atExit[1]!.handle);
  });

  Deno.test(`router, ${kind}: passes destroy to every hop, and each removes the circuit`, () => {
    const routers = new Routers(3, kind);
    const circuit = routers.build([1, 2, 3]);
    const late = sealed(circuit, REQUEST);
    routers.send(1, [late]);
    assert.deepEqual(routers.send(1, [sealed(circuit, NOTHING, DESTROY)]), []);
    assert.deepEqual(routers.cores.map(({ circuits }) => circuits), [0, 0, 0]);
    routers.send(1, [late]);
    assert.deepEqual(dropped(routers, 1), { "unknown-circuit": 1 });

    const answer = ipv4({ source: CSAIL, destination: "192.168.203.2" }, echo({ type: 0 }));
    assert.deepEqual(routers.answer(routers.atExit[0]!, answer), [], "a late reply is dropped");
    assert.deepEqual(dropped(routers, 3), { "unknown-circuit": 1 });
  });

  Deno.test(`router, ${kind}: refuses an extend cell to itself, the proxy, or an unknown router`, () => {
    const routers = new Routers(3, kind);
    const circuit = routers.build([1, 2]);
    const body = isSealed ? concat(to(1), pattern(48)) : to(1);
    const wrong: [what: string, body: Uint8Array][] = [
      ["back to where it came from", body],
      ["to the proxy", concat(hex("7f000001 9c40"), body.subarray(6))],
      ["to itself", concat(to(2), body.subarray(6))],
      ["to a port of nobody's", concat(hex("7f000001 9c4a"), body.subarray(6))],
      ["to an address of nobody's", concat(hex("7f000002 9c43"), body.subarray(6))],
      ["to the port zero", concat(hex("7f000001 0000"), body.subarray(6))],
      ["to half a port", body.subarray(0, 5)],
    ];
    for (const [index, [what, body]] of wrong.entries()) {
      assert.deepEqual(routers.send(1, [sealed(circuit, body, circuit.kind.building!.extend)]), [], what);
      assert.deepEqual(dropped(routers, 2), { "bad-extend": index + 1 }, what);
      assert.equal(routers.cores[2]!.circuits, 0, what);
    }
  });

  Deno.test(`router, ${kind}: passes nothing on before the next hop has answered`, () => {
    const routers = new Routers(3, kind);
    const circuit = routers.build([1]);
    routers.isDeaf = (router) => router === 2;
    const ask = (router: number) =>
      routers.send(1, [
        sealed(circuit, concat(to(router), pattern(isSealed ? 48 : 0)), circuit.kind.building!.extend),
      ]);
    ask(2);
    routers.carried.length = 0;
    routers.send(1, [sealed(circuit, REQUEST)]);
    assert.deepEqual(dropped(routers, 1), { "unexpected-cell": 1 });
    ask(3);
    ask(2);
    assert.deepEqual(dropped(routers, 1), { "unexpected-cell": 1, "bad-extend": 2 });
    assert.deepEqual([routers.carried, routers.atExit], [[], []]);
  });

  Deno.test(`router, ${kind}: refuses circuits above its limit`, () => {
    const routers = new Routers(2, kind, { limits: { ...HOP_LIMITS, circuits: 2 } });
    const circuit = routers.build([1], 1);
    routers.build([1], 2);
    assert.throws(() => routers.build([1], 3), /router 1 does not answer/);
    assert.deepEqual(dropped(routers, 1), { "circuits-full": 1 });
    routers.send(1, [sealed(circuit, NOTHING, DESTROY)]);
    routers.build([1], 3);
  });

  Deno.test(`router, ${kind}: removes an idle circuit, even if replies for it arrive`, () => {
    const routers = new Routers(2, kind);
    const { idle } = routers.configs[0]!.limits;
    assert.equal(idle, 660_000, "the lifetime and a minute");
    const circuit = routers.build([1]);
    const [core] = routers.cores;
    assert.equal(core!.deadline, idle);
    routers.send(1, [sealed(circuit, REQUEST)], 0, 1000);
    const answer = ipv4({ source: CSAIL, destination: "192.168.201.2" }, echo({ type: 0 }));
    core!.expire(idle);
    assert.equal(core!.circuits, 1);
    assert.equal(routers.answer(routers.atExit[0]!, answer).length, 1);
    core!.expire(idle + idle / 4);
    assert.equal(core!.circuits, 0);
    assert.equal(core!.deadline, Infinity);
    assert.deepEqual(routers.answer(routers.atExit[0]!, answer), []);
  });
}

/** The events of each router on the path 1, 2, 3. */
function logs(routers: Routers): Timeless[][] {
  return routers.logs.slice(0, 3).map(({ events }) => events);
}

Deno.test("router, plain: logs extend cells with ids and ports", () => {
  const routers = new Routers(3, "plain");
  routers.send(1, [cell(EXTEND, 1, NOTHING)]);
  assert.deepEqual(logs(routers), [[], [], []], "create is not logged");
  assert.deepEqual(routers.send(1, [cell(EXTEND, 1, to(2))]), [cell(EXTEND_DONE, 1, to(2))]);
  assert.deepEqual(routers.send(1, [cell(EXTEND, 1, to(3))]), [cell(EXTEND_DONE, 1, to(3))]);
  const [one, two] = [{ incoming: 0x01, outgoing: 0x101, port: 40_002 }, {
    incoming: 0x101,
    outgoing: 0x201,
    port: 40_003,
  }];
  assert.deepEqual(logs(routers), [
    [event("new-extend", one), event("forward-extend", one)],
    [event("new-extend", two)],
    [],
  ]);
  assert.deepEqual(routers.carried.map(({ from, to, cell }) => [from, to, cell.toHex()]), [
    [1, 0, "5300000000000001"],
    [1, 2, "5200000000000101"],
    [2, 1, "5300000000000101"],
    [1, 0, `5300000000000001${to(2).toHex()}`],
    [1, 2, `5200000000000101${to(3).toHex()}`],
    [2, 3, "5200000000000201"],
    [3, 2, "5300000000000201"],
    [2, 1, `5300000000000101${to(3).toHex()}`],
    [1, 0, `5300000000000001${to(3).toHex()}`],
  ]);
});

Deno.test("router, plain: logs the addresses that each hop replaces and restores", () => {
  const routers = new Routers(3, "plain");
  const circuit = routers.build([1, 2, 3]);
  routers.send(1, [sealed(circuit, REQUEST)]);
  const [vm, destination] = [address(VM), address(CSAIL)];
  assert.deepEqual(logs(routers), [
    [event("relay-packet", {
      source: vm,
      destination,
      incoming: 0x01,
      outgoing: 0x101,
      newSource: ONE,
    })],
    [event("relay-packet", {
      source: ONE,
      destination,
      incoming: 0x101,
      outgoing: 0x201,
      newSource: TWO,
    })],
    [event("outgoing-packet", { source: TWO, destination, incoming: 0x201, newSource: THREE })],
  ]);
  const sources = routers.carried.map(({ cell }) => readIpv4(cell.subarray(8)).source);
  assert.deepEqual(sources, [ONE, TWO]);

  routers.carried.length = 0;
  for (const log of routers.logs) log.clear();
  routers.answer(
    routers.atExit[0]!,
    ipv4({ source: CSAIL, destination: "192.168.203.2" }, echo({ type: 0 })),
  );
  const source = address(CSAIL);
  assert.deepEqual(logs(routers), [
    [event("relay-reply", {
      source,
      destination: ONE,
      incoming: 0x101,
      outgoing: 0x01,
      newDestination: vm,
    })],
    [event("relay-reply", {
      source,
      destination: TWO,
      incoming: 0x201,
      outgoing: 0x101,
      newDestination: ONE,
    })],
    [event("packet-from-world", { source, destination: THREE, outgoing: 0x201 })],
  ]);
  const destinations = routers.carried.map(({ cell }) => readIpv4(cell.subarray(8)).destination);
  assert.deepEqual(destinations, [TWO, ONE, vm]);
});

Deno.test("router, sealed: logs addresses only at the exit", () => {
  const routers = new Routers(3, "sealed");
  const circuit = routers.build([1, 2, 3]);
  // The proxy has blanked the source.
  const blank = ipv4({ source: "0.0.0.0", destination: CSAIL }, REQUEST.subarray(20));
  routers.send(1, [sealed(circuit, blank)]);
  routers.answer(
    routers.atExit[0]!,
    ipv4({ source: CSAIL, destination: "192.168.203.2" }, echo({ type: 0 })),
  );
  assert.deepEqual(logs(routers), [
    [
      event("relay-sealed", { incoming: 0x01, outgoing: 0x101 }),
      event("relay-reply-sealed", { incoming: 0x101, outgoing: 0x01 }),
    ],
    [
      event("relay-sealed", { incoming: 0x101, outgoing: 0x201 }),
      event("relay-reply-sealed", { incoming: 0x201, outgoing: 0x101 }),
    ],
    [
      event("outgoing-packet", {
        source: UNSPECIFIED,
        destination: address(CSAIL),
        incoming: 0x201,
        newSource: THREE,
      }),
      event("packet-from-world", { source: address(CSAIL), destination: THREE, outgoing: 0x201 }),
    ],
  ]);
});

Deno.test("router: does not log a reply of the exit itself as coming from the world", () => {
  for (const kind of ["plain", "sealed"] as const) {
    const routers = new Routers(2, kind);
    const circuit = routers.build([1]);
    routers.send(1, [sealed(circuit, REQUEST)]);
    routers.logs[0]!.clear();
    const own = ipv4(
      { source: "10.5.51.1", destination: "192.168.201.2" },
      echo({ type: 11, data: REQUEST }),
    );
    assert.equal(routers.answer(routers.atExit[0]!, own, false).length, 1);
    assert.deepEqual(routers.logs[0]!.events, []);
  }
});

Deno.test("router, plain: answers a repeated create, and keeps the circuit", () => {
  const routers = new Routers(2, "plain");
  for (let time = 0; time < 3; time++) {
    assert.deepEqual(routers.send(1, [cell(EXTEND, 1, NOTHING)]), [cell(EXTEND_DONE, 1, NOTHING)]);
  }
  assert.equal(routers.cores[0]!.circuits, 1);
  assert.deepEqual(dropped(routers, 1), {});
});

Deno.test("router, plain: handles every cell type in every state, from both neighbours", () => {
  /** Neither a packet nor an extend body. */
  const junk = hex("00");
  /** Drops of cells from the proxy on circuit 1, in each state; `…` if nothing is dropped. */
  const outward: Record<string, Partial<Record<number, keyof Snapshot | "…">>> = {
    none: {
      [RELAY]: "unknown-circuit",
      [EXTEND]: "bad-extend",
      [EXTEND_DONE]: "unknown-circuit",
      [RETURN]: "unknown-circuit",
      [DESTROY]: "unknown-circuit",
    },
    created: { [RELAY]: "not-ipv4", [EXTEND]: "bad-extend", [DESTROY]: "…" },
    extending: { [EXTEND]: "bad-extend", [DESTROY]: "…" },
    // Router 1 forwards the extend cell, and router 2 refuses it.
    extended: { [RELAY]: "not-ipv4", [EXTEND]: "…", [DESTROY]: "…" },
  };
  /** Drops of cells from router 2 on circuit 0x101. */
  const homeward: Record<string, Partial<Record<number, keyof Snapshot | "…">>> = {
    // Created must be empty. Another test covers the empty one.
    extending: {},
    extended: { [RETURN]: "not-ipv4", [EXTEND_DONE]: "…" },
  };
  for (const [table, from, id] of [[outward, 0, 0x01], [homeward, 2, 0x101]] as const) {
    for (const [state, verdicts] of Object.entries(table)) {
      for (let type = 0; type < 256; type++) {
        const routers = new Routers(2, "plain");
        if (state !== "none") routers.send(1, [cell(EXTEND, 1, NOTHING)]);
        routers.isDeaf = (router) => router === 2 && state === "extending";
        if (state.startsWith("extend")) routers.send(1, [cell(EXTEND, 1, to(2))]);
        assert.deepEqual(dropped(routers, 1), {});
        routers.send(1, [cell(type, id, junk)], from);
        const want = verdicts[type] ?? "unexpected-cell";
        const what = `${state}, 0x${type.toString(16)} from ${from}`;
        assert.deepEqual(dropped(routers, 1), want === "…" ? {} : { [want]: 1 }, what);
        const ends = type === DESTROY && want === "…";
        assert.equal(routers.cores[0]!.circuits, state === "none" || ends ? 0 : 1, what);
      }
    }
  }
});

Deno.test("router, sealed: drops every unauthentic cell in every state", () => {
  const junk = pattern(100);
  const outward: Record<string, Partial<Record<number, keyof Snapshot>>> = {
    none: {
      [handshake]: "bad-handshake",
      [relaySealed]: "unknown-circuit",
      [sealedExtend]: "unknown-circuit",
      [returnSealed]: "unknown-circuit",
      [sealedExtendDone]: "unknown-circuit",
      [DESTROY]: "unknown-circuit",
    },
    created: { [relaySealed]: "forged", [sealedExtend]: "forged", [DESTROY]: "forged" },
    extended: { [relaySealed]: "forged", [sealedExtend]: "forged", [DESTROY]: "forged" },
  };
  for (const [state, verdicts] of Object.entries(outward)) {
    const routers = new Routers(2, "sealed");
    if (state !== "none") routers.build(state === "created" ? [1] : [1, 2]);
    const counts: Record<string, number> = {};
    for (let type = 0; type < 256; type++) {
      assert.deepEqual(routers.send(1, [cell(type, 1, junk)]), []);
      const want = verdicts[type] ?? "unexpected-cell";
      counts[want] = (counts[want] ?? 0) + 1;
      assert.deepEqual(dropped(routers, 1), counts, `${state}, 0x${type.toString(16)}`);
    }
    assert.equal(routers.cores[0]!.circuits, state === "none" ? 0 : 1);
    assert.deepEqual(
      routers.carried.filter(({ to }) => to === 2),
      [],
      "no unauthenticated cell is forwarded",
    );
  }
  // A router cannot check cells of the next hop. It seals and forwards them, and the proxy detects
  // them.
  const routers = new Routers(2, "sealed");
  routers.build([1, 2]);
  for (let type = 0; type < 256; type++) routers.send(1, [cell(type, 0x101, junk)], 2);
  assert.deepEqual(dropped(routers, 1), { "unexpected-cell": 254 });
  assert.deepEqual(routers.carried.map(({ to, cell }) => [to, cell[0]]), [[0, sealedExtendDone], [
    0,
    returnSealed,
  ]]);
});

Deno.test("router, sealed: refuses a forged handshake, one for another router, and one on a used id", () => {
  const routers = new Routers(2, "sealed");
  const circuit = routers.build([1]);
  const keyOf = (router: number) => routers.descriptions[router - 1]!.key!;
  const begin = (router: number, prologue: Uint8Array) =>
    initiate(PROVIDER, { remoteStatic: keyOf(router), prologue }).message;
  const another = new TextEncoder().encode("onion circuit 2");
  const cases: [what: string, id: number, body: Uint8Array, reason: keyof Snapshot][] = [
    ["noise", 2, pattern(48), "bad-handshake"],
    ["nothing", 3, NOTHING, "bad-handshake"],
    ["another router's", 5, begin(2, PROLOGUE), "bad-handshake"],
    ["another version's", 6, begin(1, another), "bad-handshake"],
    ["a point of low order", 4, new Uint8Array(48), "bad-handshake"],
    ["the circuit is there already", circuit.id, begin(1, PROLOGUE), "unexpected-cell"],
  ];
  for (const [what, id, body, reason] of cases) {
    const before = dropped(routers, 1)[reason] ?? 0;
    assert.deepEqual(routers.send(1, [cell(handshake, id, body)]), [], what);
    assert.equal(dropped(routers, 1)[reason], before + 1, what);
  }
  assert.equal(routers.cores[0]!.circuits, 1);
  assert.equal(routers.send(1, [cell(handshake, 7, begin(1, PROLOGUE))]).length, 1);
});

Deno.test("router, sealed: detects every flipped bit and every repetition at the next hop", () => {
  const routers = new Routers(2, "sealed");
  const circuit = routers.build([1, 2]);
  const bytes = sealed(circuit, REQUEST);
  // Change bytes after header and counter only, because a counter seen before counts as replayed.
  for (let bit = 128; bit < 8 * bytes.length; bit += 7) routers.send(1, [flip(bytes, bit)]);
  const { forged } = dropped(routers, 1);
  assert.deepEqual(dropped(routers, 1), { forged: Math.ceil((8 * bytes.length - 128) / 7) });
  assert.equal(routers.carried.length, 0);
  routers.isDeaf = (router) => router === 2;
  routers.send(1, [bytes, bytes]);
  assert.deepEqual(dropped(routers, 1), { forged, replayed: 1 });
  assert.equal(routers.carried.length, 1);

  // Also on the next link.
  routers.isDeaf = () => false;
  const between = routers.carried[0]!.cell;
  routers.send(2, [flip(between, 8 * between.length - 1), between, between], 1);
  assert.deepEqual(dropped(routers, 2), { forged: 1, replayed: 1 });
  assert.equal(routers.atExit.length, 1);
});

Deno.test("router, sealed: drops and counts replies once its key has reached the limit", () => {
  const routers = new Routers(2, "sealed");
  const circuit = routers.build([1]);
  routers.send(1, [sealed(circuit, REQUEST)]);
  const { seal } = Layer.prototype;
  // As after 2^48 cells.
  Layer.prototype.seal = () => false;
  try {
    const answer = ipv4({ source: CSAIL, destination: "192.168.201.2" }, echo({ type: 0 }));
    assert.deepEqual(routers.answer(routers.atExit[0]!, answer), []);
  } finally {
    Layer.prototype.seal = seal;
  }
  assert.deepEqual(dropped(routers, 1), { "worn-out": 1 });
});

Deno.test("router, sealed: refuses a cell under another type", () => {
  const routers = new Routers(2, "sealed");
  const circuit = routers.build([1]);
  const bytes = sealed(circuit, REQUEST);
  bytes[0] = DESTROY;
  routers.send(1, [bytes]);
  assert.deepEqual(dropped(routers, 1), { forged: 1 });
  assert.equal(routers.cores[0]!.circuits, 1);
});

Deno.test("router, sealed: no link but the exit's carries readable packet bytes", () => {
  const routers = new Routers(3, "sealed");
  const circuit = routers.build([1, 2, 3]);
  const first = sealed(circuit, REQUEST);
  routers.send(1, [first]);
  const answer = ipv4({ source: CSAIL, destination: "192.168.203.2" }, echo({ type: 0, data: pattern(56) }));
  routers.answer(routers.atExit[0]!, answer);
  const links = [first, ...routers.carried.map(({ cell }) => cell)];
  assert.equal(links.length, 1 + 2 + 3);
  for (const bytes of links) {
    const text = bytes.toHex();
    for (const piece of [VM, CSAIL].map((each) => addressNumber(each).toString(16).padStart(8, "0"))) {
      assert.ok(!text.includes(piece), piece);
    }
    assert.ok(!text.includes(pattern(8).toHex()));
  }
});

Deno.test("router, plain: drops a reply to another address than its own", () => {
  const routers = new Routers(2, "plain");
  routers.build([1, 2]);
  const answer = ipv4({ source: CSAIL, destination: "192.168.202.2" }, echo({ type: 0 }));
  assert.deepEqual(routers.send(1, [cell(RETURN, 0x101, answer)], 2), []);
  assert.deepEqual(dropped(routers, 1), { "bad-destination": 1 });
});

Deno.test("router: keeps circuits apart that have one id on two links", () => {
  const routers = new Routers(2, "plain");
  routers.build([1], 0x201);
  assert.deepEqual(routers.send(1, [cell(EXTEND, 0x201, NOTHING)], 2), []);
  assert.equal(routers.cores[0]!.circuits, 2);
  routers.send(1, [cell(DESTROY, 0x201, NOTHING)], 2);
  assert.equal(routers.cores[0]!.circuits, 1);
  assert.deepEqual(routers.send(1, [cell(EXTEND, 0x201, NOTHING)]), [cell(EXTEND_DONE, 0x201, NOTHING)]);
});

for (const kind of ["plain", "sealed"] as const) {
  Deno.test(`router, ${kind}: keeps a circuit to a lost neighbour until destroy, which goes nowhere`, () => {
    const routers = new Routers(3, kind);
    const circuit = routers.build([1, 2, 3]);
    // Router 2 is the second neighbour of router 1; router 1 is the second neighbour of router 3.
    routers.cores[0]!.replaceNeighbour(1, undefined);
    routers.cores[2]!.replaceNeighbour(2, undefined);
    assert.deepEqual(routers.cores.map(({ circuits }) => circuits), [1, 1, 0]);
    const end = poisoned();
    assert.ok(circuit.seal(end, DESTROY));
    routers.send(1, [end.copy()]);
    assert.deepEqual(routers.carried, []);
    assert.equal(routers.cores[0]!.circuits, 0);
    assert.deepEqual(routers.counted(1)["unknown-circuit"], undefined);
  });

  Deno.test(`router, ${kind}: removes what is left of circuits to a neighbour when its successor comes`, () => {
    const routers = new Routers(2, kind);
    routers.build([1, 2]);
    routers.cores[0]!.replaceNeighbour(1, undefined);
    assert.equal(routers.cores[0]!.circuits, 1);
    routers.cores[0]!.replaceNeighbour(1, { address: address("127.0.0.1"), port: 50_000 });
    assert.equal(routers.cores[0]!.circuits, 0);
  });
}
