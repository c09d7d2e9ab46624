/**
 * The lines that users compare with course material, character by character.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventLine, EventLines, eventObject, proxyLine, routerLine } from "../../src/log/classic.ts";
import { EventRing, ringBytes } from "../../src/trace/event_ring.ts";
import type { Event, EventKind } from "../../src/trace/event_record.ts";
import type { EventSink } from "../../src/trace/events.ts";
import { addressFromBits, UNSPECIFIED } from "../../src/ip/address.ts";
import type { Ipv4View } from "../../src/ip/ipv4.ts";
import { address, addressNumber } from "../support/packets.ts";
import { pingOf } from "../support/events.ts";

/** The time of the events by the core's clock, and ms to add to get ms since the Unix epoch. */
const [TIME, TO_WALL_CLOCK] = [12_345.678, Date.UTC(2026, 10, 30)];

/** The details of a ping's request or reply. */
const PING = { length: 84, id: 4711, seq: 1 };
const [HOST, PEER, EXIT, CSAIL, VM] = [
  "10.5.51.2",
  "10.5.51.7",
  "192.168.201.2",
  "128.30.2.155",
  "10.0.2.15",
];
const SENT = { source: address(HOST), destination: address(PEER), ...PING };
/** A packet that enters a router by circuit 1. The router replaces its source. */
const RELAYED = { ...SENT, incoming: 0x01, newSource: address(EXIT) };
/** Its reply. */
const REPLIED = { source: address(CSAIL), destination: address(EXIT), ...PING };

/** The fields of an event of each kind, its line, and its object without time and kind. */
const EVENTS: {
  readonly [Kind in EventKind]: readonly [
    event: Omit<Extract<Event, { kind: Kind }>, "kind" | "time">,
    line: string,
    object: Record<string, unknown>,
  ];
} = {
  "icmp-from-tunnel": [
    { ...SENT, type: 8 },
    "ICMP from tunnel, src: 10.5.51.2, dst: 10.5.51.7, type: 8",
    { source: HOST, destination: PEER, type: 8, ...PING },
  ],
  "icmp-from-port": [
    { ...SENT, type: 0, port: 51_234 },
    "ICMP from port: 51234, src: 10.5.51.2, dst: 10.5.51.7, type: 0",
    { port: 51_234, source: HOST, destination: PEER, type: 0, ...PING },
  ],
  "icmp-from-raw-socket": [
    { source: address(HOST), destination: address(PEER), type: 11, length: 56 },
    "ICMP from raw sock, src: 10.5.51.2, dst: 10.5.51.7, type: 11",
    { source: HOST, destination: PEER, type: 11, length: 56 },
  ],
  "unknown-circuit": [
    { circuit: 0x0a, source: UNSPECIFIED, destination: UNSPECIFIED, port: 51_234 },
    "unknown incoming circuit: 0x0a, src: 0.0.0.0, dst: 0.0.0.0",
    { circuit: "0x0a", source: "0.0.0.0", destination: "0.0.0.0", port: 51_234 },
  ],
  "hop": [{ hop: 2, router: 4 }, "hop: 2, router: 4", { hop: 2, router: 4 }],
  "new-extend": [
    { port: 51_234, incoming: 0x01, outgoing: 0x101 },
    "new extend circuit: incoming: 0x01, outgoing: 0x101 at 51234",
    { incoming: "0x01", outgoing: "0x101", port: 51_234 },
  ],
  "forward-extend": [
    { port: 51_234, incoming: 0x01, outgoing: 0x101 },
    "forwarding extend circuit: incoming: 0x01, outgoing: 0x101 at 51234",
    { incoming: "0x01", outgoing: "0x101", port: 51_234 },
  ],
  "extend-done": [
    { port: 51_234, incoming: 0x01 },
    "incoming extend-done circuit, incoming: 0x01 from port: 51234",
    { incoming: "0x01", port: 51_234 },
  ],
  "relay-packet": [
    { ...RELAYED, outgoing: 0x101 },
    "relay packet, circuit incoming: 0x01, outgoing: 0x101, " +
    "incoming src: 10.5.51.2, outgoing src: 192.168.201.2, dst: 10.5.51.7",
    { incoming: "0x01", outgoing: "0x101", source: HOST, newSource: EXIT, destination: PEER, ...PING },
  ],
  "outgoing-packet": [
    RELAYED,
    "outgoing packet, circuit incoming: 0x01, " +
    "incoming src: 10.5.51.2, outgoing src: 192.168.201.2, dst: 10.5.51.7",
    { incoming: "0x01", source: HOST, newSource: EXIT, destination: PEER, ...PING },
  ],
  "packet-from-world": [
    { ...REPLIED, outgoing: 0x101 },
    "incoming packet, src: 128.30.2.155, dst: 192.168.201.2, outgoing circuit: 0x101",
    { source: CSAIL, destination: EXIT, outgoing: "0x101", ...PING },
  ],
  "relay-reply": [
    { ...REPLIED, incoming: 0x101, outgoing: 0x01, newDestination: address(VM) },
    "relay reply packet, circuit incoming: 0x101, outgoing: 0x01, " +
    "src: 128.30.2.155, incoming dst: 192.168.201.2, outgoing dst: 10.0.2.15",
    { incoming: "0x101", outgoing: "0x01", source: CSAIL, destination: EXIT, newDestination: VM, ...PING },
  ],
  "relay-sealed": [
    { incoming: 0x01, outgoing: 0x101, length: 124 },
    "relay encrypted packet, circuit incoming: 0x01, outgoing: 0x101",
    { incoming: "0x01", outgoing: "0x101", length: 124 },
  ],
  "relay-reply-sealed": [
    { incoming: 0x101, outgoing: 0x01, length: 124 },
    "relay reply encrypted packet, circuit incoming: 0x101, outgoing: 0x01",
    { incoming: "0x101", outgoing: "0x01", length: 124 },
  ],
  "incoming-packet": [
    {
      source: address(CSAIL),
      destination: address(VM),
      incoming: 0x01,
      length: 40,
      sourcePort: 53,
      destinationPort: 1024,
    },
    "incoming packet, circuit incoming: 0x01, src: 128.30.2.155, dst: 10.0.2.15",
    { incoming: "0x01", source: CSAIL, destination: VM, length: 40, sourcePort: 53, destinationPort: 1024 },
  ],
};

/** Each event, its line, and its object. */
const CASES = Object.entries(EVENTS).map(([kind, [fields, line, object]]) => ({
  event: { kind, time: TIME, ...fields } as Event,
  line,
  object: { time: "2026-11-30T00:00:12.345Z", event: kind, ...object },
}));

Deno.test("classic log: the lines that introduce proxy and router", () => {
  assert.equal(proxyLine(40_123), "proxy port: 40123");
  assert.equal(routerLine(1, 4711, 40_124), "router: 1, pid: 4711, port: 40124");
});

Deno.test("classic log: the line of a router shows its address if circuits are built", () => {
  const line = routerLine(6, 4711, 40_124, address("192.168.206.2"));
  assert.equal(line, "router: 6, pid: 4711, port: 40124, IP: 192.168.206.2");
});

Deno.test("classic log: the line of each kind of event", () => {
  for (const { event, line } of CASES) assert.equal(eventLine(event), line);
});

Deno.test("JSON lines: the object of each kind of event, with the time of its packet", () => {
  for (const { event, object } of CASES) {
    assert.deepEqual(eventObject(event, TO_WALL_CLOCK), object);
  }
});

Deno.test("classic log: shows high addresses and circuit ids unsigned", () => {
  const highest = { source: addressFromBits(0xffff_ffff), destination: addressFromBits(0x8000_0000) };
  assert.equal(
    eventLine({ kind: "unknown-circuit", time: 0, circuit: 0xffff_ffff, port: 1, ...highest }),
    "unknown incoming circuit: 0xffffffff, src: 255.255.255.255, dst: 128.0.0.0",
  );
  const relayed = { incoming: 0xffff_ffff, outgoing: 0x8000_0000, newSource: addressFromBits(0xffff_fffe) };
  assert.equal(
    eventLine({ kind: "relay-packet", time: 0, ...highest, ...relayed }),
    "relay packet, circuit incoming: 0xffffffff, outgoing: 0x80000000, " +
      "incoming src: 255.255.255.255, outgoing src: 255.255.255.254, dst: 128.0.0.0",
  );
});

/** Makes the line of one event at a time, and compares it with {@linkcode eventLine}. */
class Log {
  readonly #ring = new EventRing(new ArrayBuffer(ringBytes(1)));
  readonly #lines = new EventLines();
  readonly #text = new TextDecoder();

  lineOf(tell: (sink: EventSink) => void): string {
    let line = "";
    tell(this.#ring);
    this.#ring.drainRuns((record) => {
      line = this.#text.decode(this.#lines.of(record).copies(1));
      assert.equal(line, `${eventLine(record.decode())}\n`);
    });
    return line;
  }
}

Deno.test("event lines: return the right line whichever field of the event changed", () => {
  const log = new Log();
  const [one, from, to] = ([[1, 2], [9, 2], [1, 9]] as const).map(([source, destination]) =>
    pingOf({ source: addressFromBits(source), destination: addressFromBits(destination) })
  ) as [Ipv4View, Ipv4View, Ipv4View];
  const before = (sink: EventSink) => sink.relayPacket(one, 3, 4, addressFromBits(5), 0);
  const changed: ((sink: EventSink) => void)[] = [
    (sink) => sink.relayPacket(from, 3, 4, addressFromBits(5), 0),
    (sink) => sink.relayPacket(to, 3, 4, addressFromBits(5), 0),
    (sink) => sink.relayPacket(one, 9, 4, addressFromBits(5), 0),
    (sink) => sink.relayPacket(one, 3, 9, addressFromBits(5), 0),
    (sink) => sink.relayPacket(one, 3, 4, addressFromBits(9), 0),
    (sink) => sink.relayReply(one, 3, 4, addressFromBits(5), 0),
  ];
  for (const after of changed) {
    const [first, second, third, fourth] = [before, after, after, before].map((tell) => log.lineOf(tell));
    assert.deepEqual([first, second], [fourth, third]);
    assert.notEqual(first, second);
  }
  for (const port of [1, 2, 1]) {
    assert.match(log.lineOf((sink) => sink.icmpFromPort(one, port, 0)), RegExp(`port: ${port},`));
  }
});

Deno.test("event lines: return the right line when more are asked for than are kept", () => {
  const log = new Log();
  const [us, first] = [address("10.5.51.2"), addressNumber("10.5.0.0")];
  const asked: ((sink: EventSink) => void)[] = [];
  for (let host = 0; host < 20_000; host++) {
    const peer = addressFromBits(first + host);
    const [to, from] = [pingOf({ source: us, destination: peer }), pingOf({ source: peer, destination: us })];
    asked.push((sink) => sink.icmpFromTunnel(to, 0));
    asked.push((sink) => sink.icmpFromPort(from, host, 0));
    asked.push((sink) => sink.icmpFromPort(from, host + 1, 0));
    asked.push((sink) => sink.unknownCircuit(host, 1, undefined, 0));
  }
  for (const tell of [...asked.slice(-1000), ...asked]) {
    for (const _ of ["formatted", "kept"]) assert.notEqual(log.lineOf(tell), "");
  }
});
