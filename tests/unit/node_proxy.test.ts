import assert from "node:assert/strict";
import { CellType } from "../../src/cell/cell.ts";
import type { Snapshot } from "../../src/trace/counters.ts";
import { event } from "../support/events.ts";
import {
  address,
  cell as makeCell,
  concat,
  echo,
  hex,
  ipv4,
  joinPlainly,
  pattern,
  readIpv4,
} from "../support/packets.ts";
import { ProxyRig, type ProxyRigOptions } from "../support/proxy.ts";
import { UNSPECIFIED } from "../../src/ip/address.ts";

const PORT = 40_001;
const CIRCUIT = 1;
const HOST = "10.5.51.2";
const PEER = "10.5.51.7";
/**
 * Bytes of the longest packet in a cell: 65,535 minus headers of 20 (IPv4), 8 (UDP) and 8 (cell).
 */
const MAX_CELL_PACKET = 65_499;

/** A proxy with a direct circuit to a router that the test plays. */
const makeProxy = (options: ProxyRigOptions = {}) => new ProxyRig({ kind: "direct", hops: 1, ...options });

/** A cell of this link. */
function cell(packet: Uint8Array, type: number = CellType.returnData, circuit = CIRCUIT): Uint8Array {
  return makeCell(type, circuit, packet);
}

const REQUEST = ipv4({}, echo({ data: pattern(56) }));
const REPLY = ipv4({ source: PEER, destination: HOST }, echo({ type: 0, data: pattern(56) }));

Deno.test("proxy: sends a ping unchanged in one cell, and logs it", () => {
  const proxy = makeProxy();
  proxy.fromTun(REQUEST);
  assert.deepEqual(proxy.cells, [concat(hex("51 000000 00000001"), REQUEST)]);
  assert.deepEqual(proxy.toTun, []);
  assert.deepEqual(proxy.counted(), { "tun-in": 1, "link-out": 1 });
  assert.deepEqual(proxy.log.events, [
    event("icmp-from-tunnel", { source: address(HOST), destination: address(PEER), type: 8 }),
  ]);
});

Deno.test("proxy: sends the reply unchanged to the host, and logs it", () => {
  const proxy = makeProxy();
  proxy.fromLink(cell(REPLY));
  assert.deepEqual(proxy.toTun, [REPLY]);
  assert.deepEqual(proxy.cells, []);
  assert.deepEqual(proxy.counted(), { "link-in": 1, "tun-out": 1 });
  assert.deepEqual(proxy.log.events, [
    event("icmp-from-port", { source: address(PEER), destination: address(HOST), type: 0, port: PORT }),
  ]);
});

Deno.test("proxy: passes fragments one by one, and logs only the first", () => {
  const proxy = makeProxy();
  const data = pattern(100);
  const first = ipv4({ moreFragments: true }, echo({ data }).subarray(0, 48));
  const last = ipv4({ offset: 48 }, echo({ data }).subarray(48));
  proxy.fromTun(first);
  proxy.fromTun(last);
  assert.deepEqual(proxy.cells, [first, last].map((packet) => cell(packet, CellType.relayData)));
  assert.equal(proxy.log.events.length, 1);
});

Deno.test("proxy: counts and drops malformed packets of the host", () => {
  const cases: [what: string, packet: Uint8Array, reason: keyof Snapshot][] = [
    ["an IPv6 router solicitation, a new TUN's first packet", concat(hex("60"), pattern(55)), "not-ipv4"],
    ["nothing", hex(""), "not-ipv4"],
    ["half a header", REQUEST.subarray(0, 10), "bad-length"],
    ["cut short", REQUEST.subarray(0, -1), "bad-length"],
    ["a wrong header checksum", ipv4({ checksum: 1 }, echo()), "header-checksum"],
    ["a fragment beyond the longest packet", ipv4({ offset: 65_528 }, pattern(8)), "bad-fragment"],
    ["from nobody", ipv4({ source: "0.0.0.0" }, echo()), "bad-source"],
    ["from loopback", ipv4({ source: "127.0.0.1" }, echo()), "bad-source"],
    ["from a group", ipv4({ source: "224.0.0.1" }, echo()), "bad-source"],
    ["UDP", ipv4({ protocol: 17 }, pattern(8)), "not-carried"],
    ["half an ICMP header", ipv4({}, echo().subarray(0, 7)), "bad-length"],
    ["a wrong ICMP checksum", ipv4({}, echo({ checksum: 1 })), "icmp-checksum"],
    ["an echo reply", ipv4({}, echo({ type: 0 })), "not-echo-request"],
    ["a timestamp request", ipv4({}, echo({ type: 13 })), "not-echo-request"],
    [
      "a first fragment of another type",
      ipv4({ moreFragments: true }, echo({ type: 13 })),
      "not-echo-request",
    ],
  ];
  for (const [what, packet, reason] of cases) {
    const proxy = makeProxy();
    proxy.fromTun(packet);
    assert.deepEqual(proxy.counted(), { "tun-in": 1, [reason]: 1 }, what);
    assert.deepEqual([proxy.toTun, proxy.cells, proxy.log.events], [[], [], []], what);
  }
});

Deno.test("proxy: counts and drops malformed datagrams of a router", () => {
  const cases: [what: string, datagram: Uint8Array, reason: keyof Snapshot][] = [
    ["nothing", hex(""), "bad-cell"],
    ["half a cell header", cell(hex("")).subarray(0, 7), "bad-cell"],
    ["a reserved bit", concat(hex("54 000001 00000051"), REPLY), "bad-cell"],
    ["the circuit zero", cell(REPLY, CellType.returnData, 0), "bad-cell"],
    ["a packet without a cell", REPLY, "bad-cell"],
    ["our own, turned back", cell(REPLY, CellType.relayData), "unexpected-cell"],
    ["an unknown type", cell(REPLY, 0xff), "unexpected-cell"],
    ["another circuit", cell(REPLY, CellType.returnData, CIRCUIT + 1), "unknown-circuit"],
    ["a cell of nothing", cell(hex("")), "not-ipv4"],
    ["cut short", cell(REPLY.subarray(0, -1)), "bad-length"],
    ["a wrong header checksum", cell(ipv4({ checksum: 1 }, echo({ type: 0 }))), "header-checksum"],
    ["UDP", cell(ipv4({ protocol: 17 }, pattern(8))), "not-carried"],
    ["half an ICMP header", cell(ipv4({}, echo({ type: 0 }).subarray(0, 7))), "bad-length"],
    ["a wrong ICMP checksum", cell(ipv4({}, echo({ type: 0, checksum: 1 }))), "icmp-checksum"],
    ["an echo request", cell(REQUEST), "not-a-reply"],
    ["a redirect", cell(ipv4({}, echo({ type: 5 }))), "not-a-reply"],
  ];
  for (const [what, datagram, reason] of cases) {
    const proxy = makeProxy();
    proxy.fromLink(datagram);
    assert.deepEqual(proxy.counted(), { "link-in": 1, [reason]: 1 }, what);
    assert.deepEqual([proxy.toTun, proxy.cells], [[], []], what);
  }
});

Deno.test("proxy: passes ICMP errors to the host", () => {
  for (const type of [3, 11, 12]) {
    const proxy = makeProxy();
    const report = ipv4({ source: "192.0.2.1", destination: HOST }, echo({ type, data: REQUEST }));
    proxy.fromLink(cell(report));
    assert.deepEqual(proxy.toTun, [report]);
  }
});

Deno.test("proxy: logs an unknown circuit with its id and port", () => {
  const proxy = makeProxy();
  proxy.fromLink(cell(REPLY, CellType.returnData, 0xdead_beef));
  assert.deepEqual(proxy.log.events, [
    event("unknown-circuit", {
      circuit: 0xdead_beef,
      source: UNSPECIFIED,
      destination: UNSPECIFIED,
      port: PORT,
    }),
  ]);
});

Deno.test("proxy: fragments a packet that is too long for a cell", () => {
  const proxy = makeProxy();
  const message = echo({ data: pattern(65_535 - 28) });
  proxy.fromTun(ipv4({}, message));
  assert.equal(proxy.cells.length, 2);
  for (const sent of proxy.cells) assert.ok(sent.length <= 65_507, "not too long for UDP");
  assert.deepEqual(joinPlainly(proxy.cells.map((sent) => sent.subarray(8))), message);
  assert.deepEqual(proxy.counted(), { "tun-in": 1, "link-out": 2 });

  const longest = ipv4({}, echo({ data: pattern(MAX_CELL_PACKET - 28) }));
  proxy.sent.length = 0;
  proxy.fromTun(longest);
  assert.deepEqual(proxy.cells.map((sent) => sent.length), [65_507]);
});

Deno.test("proxy: counts each fragment that the kernel refuses", () => {
  const proxy = makeProxy();
  proxy.takes = false;
  proxy.fromTun(REQUEST);
  proxy.fromTun(ipv4({}, echo({ data: pattern(65_500) })));
  proxy.fromLink(cell(REPLY));
  assert.deepEqual(proxy.counted(), { "tun-in": 2, "link-in": 1, "link-refused": 3, "tun-refused": 1 });
});

Deno.test("proxy: sends ICMP errors to the host where RFC 1122 allows it", () => {
  const hop = "10.5.51.1";
  const told: [what: string, packet: Uint8Array, reason: keyof Snapshot][] = [
    ["UDP", ipv4({ protocol: 17 }, pattern(8)), "not-carried"],
    ["a timestamp request", ipv4({}, echo({ type: 13 })), "not-echo-request"],
  ];
  for (const [what, packet, reason] of told) {
    const proxy = makeProxy({ refuseAs: hop });
    proxy.fromTun(packet);
    assert.deepEqual(proxy.counted(), { "tun-in": 1, [reason]: 1, "tun-out": 1 }, what);
    const answer = readIpv4(proxy.toTun[0]!);
    assert.deepEqual([answer.source, answer.destination], [address(hop), address(HOST)]);
    assert.deepEqual(
      [answer.payload[0], answer.payload[1]],
      [3, 13],
      "communication administratively prohibited",
    );
    assert.deepEqual(answer.payload.subarray(8), packet, "the quoted packet");
  }
  const silent: [what: string, packet: Uint8Array][] = [
    ["an error is not answered with an error", ipv4({}, echo({ type: 3 }))],
    ["a fragment behind the first", ipv4({ protocol: 17, offset: 8 }, pattern(8))],
    ["to a group", ipv4({ protocol: 17, destination: "224.0.0.251" }, pattern(8))],
    ["to everybody", ipv4({ protocol: 17, destination: "255.255.255.255" }, pattern(8))],
  ];
  for (const [what, packet] of silent) {
    const proxy = makeProxy({ refuseAs: hop });
    proxy.fromTun(packet);
    assert.deepEqual(proxy.toTun, [], what);
  }
});

Deno.test("proxy: reports its MTU if don't-fragment is set, and otherwise fragments", () => {
  const long = { destination: "10.5.51.7" };
  const whole = ipv4(long, echo({ data: pattern(65_507) }));
  assert.equal(whole.length, 65_535);
  const cut = makeProxy({ refuseAs: "10.5.51.1" });
  cut.fromTun(whole);
  assert.deepEqual(cut.counted(), { "tun-in": 1, "link-out": 2 });

  const mustStayWhole = ipv4({ ...long, dontFragment: true }, echo({ data: pattern(65_507) }));
  const proxy = makeProxy({ refuseAs: "10.5.51.1" });
  proxy.fromTun(mustStayWhole);
  assert.deepEqual(proxy.counted(), { "tun-in": 1, "too-long": 1, "tun-out": 1 });
  const answer = readIpv4(proxy.toTun[0]!).payload;
  assert.deepEqual([answer[0], answer[1]], [3, 4], "fragmentation needed and DF set");
  assert.equal(new DataView(answer.buffer, answer.byteOffset).getUint16(6), MAX_CELL_PACKET, "next-hop MTU");
});
