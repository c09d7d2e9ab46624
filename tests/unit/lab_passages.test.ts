import assert from "node:assert/strict";
import { formatPacket, kindOf } from "../../src/ip/packet.ts";
import { type Passage, passages, pathOf } from "../../src/lab/passages.ts";
import type { PcapngItem } from "../../src/pcap/pcapng_reader.ts";
import { Note } from "../../src/device/tap/devices.ts";
import { answeredInside, Captures } from "../support/captures.ts";
import { cell, concat, hex, ipv4, pattern } from "../support/packets.ts";

/** Passages as `1 ping→proxy`: the round, who to whom. */
function legs(items: Iterable<PcapngItem>): string[] {
  return passages(items).map(({ round, from, to }) => `${round} ${from}→${to}`);
}

/** What the receivers of one ping's passages can read. */
function sights(items: Iterable<PcapngItem>, round = 1): string[] {
  return passages(items).filter((passage) => passage.round === round).map(({ to, sight }) => {
    const text = sight === undefined
      ? "?"
      : sight.kind === "sealed"
      ? `${sight.bytes} sealed`
      : formatPacket(sight.packet);
    return `${to}: ${text}`;
  });
}

/** The legs of a ping through these routers to the world, and back. */
function wholeWay(round: number, ...routers: string[]): string[] {
  const parties = ["ping", "proxy", ...routers, "world"];
  const pairs = (way: string[]) => way.slice(1).map((to, at) => `${round} ${way[at]}→${to}`);
  return [...pairs(parties), ...pairs(parties.toReversed())];
}

function run(circuits: "direct" | "plain" | "sealed", ...path: number[]): Captures {
  return new Captures(circuits, path);
}

Deno.test("lab passages: stage 2, the router answers itself", () => {
  const items = answeredInside().items();
  assert.deepEqual(legs(items), ["1 ping→proxy", "1 proxy→router 1", "1 router 1→proxy", "1 proxy→ping"]);
  assert.deepEqual(sights(items), [
    "proxy: 10.5.51.2 → 10.5.51.7 echo request",
    "router 1: 10.5.51.2 → 10.5.51.7 echo request",
    "proxy: 10.5.51.7 → 10.5.51.2 echo reply",
    "ping: 10.5.51.7 → 10.5.51.2 echo reply",
  ]);
});

Deno.test("lab passages: stage 3, to the world and back", () => {
  const captures = run("direct", 1);
  captures.ping({ sequence: 1 });
  captures.ping({ sequence: 2 });
  assert.deepEqual(legs(captures.items()), [...wholeWay(1, "router 1"), ...wholeWay(2, "router 1")]);
});

Deno.test("lab passages: stage 5, each router reads the address of the previous one", () => {
  const captures = run("plain", 2, 4, 3);
  captures.ping({ sequence: 1 });
  assert.deepEqual(legs(captures.items()), wholeWay(1, "router 2", "router 4", "router 3"));
  assert.deepEqual(sights(captures.items()), [
    "proxy: 10.0.2.15 → 128.30.2.155 echo request",
    "router 2: 10.0.2.15 → 128.30.2.155 echo request",
    "router 4: 192.168.202.2 → 128.30.2.155 echo request",
    "router 3: 192.168.204.2 → 128.30.2.155 echo request",
    "world: 192.168.203.2 → 128.30.2.155 echo request",
    "router 3: 128.30.2.155 → 192.168.203.2 echo reply",
    "router 4: 128.30.2.155 → 192.168.204.2 echo reply",
    "router 2: 128.30.2.155 → 192.168.202.2 echo reply",
    "proxy: 128.30.2.155 → 10.0.2.15 echo reply",
    "ping: 128.30.2.155 → 10.0.2.15 echo reply",
  ]);
});

Deno.test("lab passages: stage 6, each router reads what its layer covered", () => {
  const captures = run("sealed", 3, 1, 2);
  captures.ping({ sequence: 1 });
  assert.deepEqual(legs(captures.items()), wholeWay(1, "router 3", "router 1", "router 2"));
  // 28 bytes of the packet, and 24 for each layer that is left.
  assert.deepEqual(sights(captures.items()), [
    "proxy: 10.0.2.15 → 128.30.2.155 echo request",
    "router 3: 76 sealed",
    "router 1: 52 sealed",
    "router 2: 0.0.0.0 → 128.30.2.155 echo request",
    "world: 192.168.202.2 → 128.30.2.155 echo request",
    "router 2: 128.30.2.155 → 192.168.202.2 echo reply",
    "router 1: 52 sealed",
    "router 3: 76 sealed",
    "proxy: 128.30.2.155 → 10.0.2.15 echo reply",
    "ping: 128.30.2.155 → 10.0.2.15 echo reply",
  ]);
  const first = passages(captures.items());
  assert.deepEqual(pathOf(first), ["router 3", "router 1", "router 2"]);
  // Cells get shorter by a layer at each hop; on a link nobody can read more of them than their
  // header.
  const cells = first.filter(({ cell }) => cell !== undefined);
  assert.deepEqual(cells.map(({ bytes }) => bytes), [108, 84, 60, 60, 84, 108]);
  assert.ok(cells.every(({ packet }) => packet === undefined));
  assert.deepEqual(cells.slice(0, 3).map(({ cell, first }) => [cell!.circuit, first.slice(0, 16)]), [
    [0x001, "6100000000000001"],
    [0x301, "6100000000000301"],
    [0x101, "6100000000000101"],
  ]);
});

Deno.test("lab passages: file order and a missing end do not matter", () => {
  const captures = run("sealed", 1, 2);
  captures.build();
  captures.ping({ sequence: 1 }, { sequence: 2 });
  const expected = passages(captures.items());
  assert.deepEqual(passages([...captures.items(true), { kind: "incomplete", offset: 9 }]), expected);
});

Deno.test("lab passages: separates concurrent pings, sealed or not", () => {
  for (const circuits of ["plain", "sealed"] as const) {
    const captures = run(circuits, 1, 2);
    captures.ping({ sequence: 1 }, { sequence: 2 }, { sequence: 3 });
    const all = legs(captures.items());
    for (const round of [1, 2, 3]) {
      const mine = all.filter((leg) => leg.startsWith(`${round} `));
      assert.deepEqual(mine, wholeWay(round, "router 1", "router 2"), circuits);
    }
  }
});

Deno.test("lab passages: a lost ping does not take the next one's answer", () => {
  const captures = run("sealed", 1, 2);
  captures.ping({ sequence: 1, end: "lost in the world" });
  captures.ping({ sequence: 2 });
  assert.deepEqual(legs(captures.items()), [
    ...wholeWay(1, "router 1", "router 2").slice(0, 4),
    ...wholeWay(2, "router 1", "router 2"),
  ]);
});

Deno.test("lab passages: an ICMP error answers the oldest open ping", () => {
  const captures = run("sealed", 1, 2);
  captures.ping({ sequence: 1, end: "time exceeded" });
  const all = passages(captures.items());
  assert.deepEqual(legs(captures.items()), wholeWay(1, "router 1", "router 2"));
  const { packet } = all.find(({ from }) => from === "world")!;
  assert.equal(kindOf(packet!), "time exceeded");
});

Deno.test("lab passages: other cells have no ping and no direction", () => {
  const captures = run("sealed", 1);
  captures.build();
  captures.link(0, 1, cell(0x66, 1, pattern(24)));
  captures.link(0, 1, cell(0x7f, 1, pattern(3)));
  const all = passages(captures.items());
  assert.deepEqual(all.map(({ cell, way, round }) => [cell!.type, way, round]), [
    [0x65, undefined, undefined],
    [0x65, undefined, undefined],
    [0x66, undefined, undefined],
    [0x7f, undefined, undefined],
  ]);
});

Deno.test("lab passages: skips what is neither a packet nor a cell", () => {
  const captures = run("direct", 1);
  captures.tunnel(Note.fromHost, hex("60000000 0000 3a ff"));
  captures.world(1, Note.fromWorld, hex("45"));
  captures.link(0, 1, hex("51000000 00000000")); // circuit 0
  captures.link(0, 1, hex("51"));
  captures.inside(1, `${Note.wayOut}, circuit 0x01`, ipv4({}, pattern(8)));
  assert.deepEqual(passages(captures.items()), []);
  assert.deepEqual(passages([]), []);
});

Deno.test("lab passages: a cell that nobody opened has no sight", () => {
  const captures = run("sealed", 1);
  captures.link(0, 1, cell(0x61, 1, pattern(52)));
  const [only] = passages(captures.items()) as [Passage];
  assert.deepEqual([only.from, only.to, only.round, only.sight], ["proxy", "router 1", undefined, undefined]);
});

Deno.test("packet: kinds in words", () => {
  const kind = (header: Parameters<typeof ipv4>[0], payload: Uint8Array) => {
    const captures = run("direct", 1);
    captures.tunnel(Note.fromHost, ipv4(header, payload));
    return kindOf(passages(captures.items())[0]!.packet!);
  };
  assert.equal(kind({ protocol: 17 }, pattern(8)), "protocol 17");
  assert.equal(kind({ offset: 8 }, pattern(8)), "ICMP fragment");
  assert.equal(kind({}, concat(hex("0d00 f2ff"), new Uint8Array(4))), "ICMP type 13");
});
