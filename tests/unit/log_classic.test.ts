/**
 * The lines that people compare with course material: each is held to its last blank.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventLine, EventLines, eventObject, proxyLine, routerLine } from "../../src/log/classic.ts";
import { blankEvent, type Event, EventKind } from "../../src/trace/events.ts";
import { address, addressNumber } from "../support/packets.ts";
import { addressFromBits } from "../../src/ip/address.ts";

function event(kind: EventKind, fields: Partial<Event> = {}): Event {
  return {
    ...blankEvent(),
    kind,
    source: address("10.5.51.2"),
    destination: address("10.5.51.7"),
    detail: 8,
    ...fields,
  };
}

/** A packet that changes from the proxy's circuit 1 to router 1's circuit 0x101, and its source on the way. */
const RELAYED = { incoming: 0x01, outgoing: 0x101, rewritten: address("192.168.201.2") };
/** Its answer. */
const REPLIED = {
  source: address("128.30.2.155"),
  destination: address("192.168.201.2"),
  incoming: 0x101,
  outgoing: 0x01,
  rewritten: address("10.0.2.15"),
};

/** An event of each kind, its line, and its object. */
const EVENTS: Record<keyof typeof EventKind, [event: Event, line: string, object: Record<string, unknown>]> =
  {
    icmpFromTunnel: [
      event(EventKind.icmpFromTunnel),
      "ICMP from tunnel, src: 10.5.51.2, dst: 10.5.51.7, type: 8",
      { event: "icmp-from-tunnel", source: "10.5.51.2", destination: "10.5.51.7", type: 8 },
    ],
    icmpFromPort: [
      event(EventKind.icmpFromPort, { detail: 0, port: 51_234 }),
      "ICMP from port: 51234, src: 10.5.51.2, dst: 10.5.51.7, type: 0",
      { event: "icmp-from-port", port: 51_234, source: "10.5.51.2", destination: "10.5.51.7", type: 0 },
    ],
    icmpFromRawSocket: [
      event(EventKind.icmpFromRawSocket, { detail: 11 }),
      "ICMP from raw sock, src: 10.5.51.2, dst: 10.5.51.7, type: 11",
      { event: "icmp-from-raw-socket", source: "10.5.51.2", destination: "10.5.51.7", type: 11 },
    ],
    unknownCircuit: [
      event(EventKind.unknownCircuit, {
        source: addressFromBits(0),
        destination: addressFromBits(0),
        detail: 0x0a,
        port: 51_234,
      }),
      "unknown incoming circuit: 0x0a, src: 0.0.0.0, dst: 0.0.0.0",
      {
        event: "unknown-circuit",
        circuit: "0x0a",
        source: "0.0.0.0",
        destination: "0.0.0.0",
        port: 51_234,
      },
    ],
    hop: [
      event(EventKind.hop, { detail: 2, port: 4 }),
      "hop: 2, router: 4",
      { event: "hop", hop: 2, router: 4 },
    ],
    newExtend: [
      event(EventKind.newExtend, { port: 51_234, incoming: 0x01, outgoing: 0x101 }),
      "new extend circuit: incoming: 0x01, outgoing: 0x101 at 51234",
      { event: "new-extend", incoming: "0x01", outgoing: "0x101", port: 51_234 },
    ],
    forwardExtend: [
      event(EventKind.forwardExtend, { port: 51_234, incoming: 0x01, outgoing: 0x101 }),
      "forwarding extend circuit: incoming: 0x01, outgoing: 0x101 at 51234",
      { event: "forward-extend", incoming: "0x01", outgoing: "0x101", port: 51_234 },
    ],
    extendDone: [
      event(EventKind.extendDone, { port: 51_234, incoming: 0x01 }),
      "incoming extend-done circuit, incoming: 0x01 from port: 51234",
      { event: "extend-done", incoming: "0x01", port: 51_234 },
    ],
    relayPacket: [
      event(EventKind.relayPacket, RELAYED),
      "relay packet, circuit incoming: 0x01, outgoing: 0x101, " +
      "incoming src: 10.5.51.2, outgoing src: 192.168.201.2, dst: 10.5.51.7",
      {
        event: "relay-packet",
        incoming: "0x01",
        outgoing: "0x101",
        source: "10.5.51.2",
        newSource: "192.168.201.2",
        destination: "10.5.51.7",
      },
    ],
    outgoingPacket: [
      event(EventKind.outgoingPacket, { ...RELAYED, outgoing: 0 }),
      "outgoing packet, circuit incoming: 0x01, " +
      "incoming src: 10.5.51.2, outgoing src: 192.168.201.2, dst: 10.5.51.7",
      {
        event: "outgoing-packet",
        incoming: "0x01",
        source: "10.5.51.2",
        newSource: "192.168.201.2",
        destination: "10.5.51.7",
      },
    ],
    packetFromWorld: [
      event(EventKind.packetFromWorld, { ...REPLIED, incoming: 0, outgoing: 0x101 }),
      "incoming packet, src: 128.30.2.155, dst: 192.168.201.2, outgoing circuit: 0x101",
      {
        event: "packet-from-world",
        source: "128.30.2.155",
        destination: "192.168.201.2",
        outgoing: "0x101",
      },
    ],
    relayReply: [
      event(EventKind.relayReply, REPLIED),
      "relay reply packet, circuit incoming: 0x101, outgoing: 0x01, " +
      "src: 128.30.2.155, incoming dst: 192.168.201.2, outgoing dst: 10.0.2.15",
      {
        event: "relay-reply",
        incoming: "0x101",
        outgoing: "0x01",
        source: "128.30.2.155",
        destination: "192.168.201.2",
        newDestination: "10.0.2.15",
      },
    ],
    relaySealed: [
      event(EventKind.relaySealed, { incoming: 0x01, outgoing: 0x101 }),
      "relay encrypted packet, circuit incoming: 0x01, outgoing: 0x101",
      { event: "relay-sealed", incoming: "0x01", outgoing: "0x101" },
    ],
    relayReplySealed: [
      event(EventKind.relayReplySealed, { incoming: 0x101, outgoing: 0x01 }),
      "relay reply encrypted packet, circuit incoming: 0x101, outgoing: 0x01",
      { event: "relay-reply-sealed", incoming: "0x101", outgoing: "0x01" },
    ],
    incomingPacket: [
      event(EventKind.incomingPacket, { ...REPLIED, destination: address("10.0.2.15"), incoming: 0x01 }),
      "incoming packet, circuit incoming: 0x01, src: 128.30.2.155, dst: 10.0.2.15",
      { event: "incoming-packet", incoming: "0x01", source: "128.30.2.155", destination: "10.0.2.15" },
    ],
  };

Deno.test("the lines that introduce proxy and router", () => {
  assert.equal(proxyLine(40_123), "proxy port: 40123");
  assert.equal(routerLine(1, 4711, 40_124), "router: 1, pid: 4711, port: 40124");
});

Deno.test("where circuits are built, a router's line has its address, too", () => {
  const line = routerLine(6, 4711, 40_124, address("192.168.206.2"));
  assert.equal(line, "router: 6, pid: 4711, port: 40124, IP: 192.168.206.2");
});

Deno.test("the line of each kind of event", () => {
  for (const [event, line] of Object.values(EVENTS)) assert.equal(eventLine(event), line);
});

Deno.test("each kind of event as an object, for JSON lines", () => {
  for (const [event, , object] of Object.values(EVENTS)) assert.deepEqual(eventObject(event), object);
});

Deno.test("addresses above 128.0.0.0 and circuits above 0x80000000 are not negative", () => {
  const highest = {
    source: address("255.255.255.255"),
    destination: address("128.0.0.0"),
    detail: 0xffff_ffff,
  };
  assert.equal(
    eventLine(event(EventKind.unknownCircuit, highest)),
    "unknown incoming circuit: 0xffffffff, src: 255.255.255.255, dst: 128.0.0.0",
  );
  const relayed = {
    ...highest,
    incoming: 0xffff_ffff,
    outgoing: 0x8000_0000,
    rewritten: address("255.255.255.254"),
  };
  assert.equal(
    eventLine(event(EventKind.relayPacket, relayed)),
    "relay packet, circuit incoming: 0xffffffff, outgoing: 0x80000000, " +
      "incoming src: 255.255.255.255, outgoing src: 255.255.255.254, dst: 128.0.0.0",
  );
});

Deno.test("a line that is kept is that of its event, whichever of its words has changed since", () => {
  const lines = new EventLines();
  const text = new TextDecoder();
  const before = event(EventKind.relayPacket, { ...RELAYED, port: 1 });
  for (const word of Object.keys(before) as (keyof Event)[]) {
    const after = {
      ...before,
      [word]: word === "kind" ? EventKind.relayReply : (before[word] as number) + 1,
    };
    for (const each of [before, after, after, before]) {
      assert.equal(text.decode(lines.of(each).copies(1)), `${eventLine(each)}\n`, word);
    }
  }
});

Deno.test("lines ready to be written are those lines, also when more are asked for than are kept, and asked for again", () => {
  const lines = new EventLines();
  const text = new TextDecoder();
  const first = addressNumber("10.5.0.0");
  const asked: Event[] = [];
  for (let host = 0; host < 20_000; host++) {
    asked.push(event(EventKind.icmpFromTunnel, { destination: addressFromBits(first + host) }));
    asked.push(
      event(EventKind.icmpFromPort, { source: addressFromBits(first + host), detail: 0, port: host }),
    );
    asked.push(
      event(EventKind.icmpFromPort, { source: addressFromBits(first + host), detail: 0, port: host + 1 }),
    );
    asked.push(event(EventKind.unknownCircuit, { detail: host }));
  }
  for (const event of [...asked.slice(-1000), ...asked]) {
    for (const _ of ["formatted", "kept"]) {
      assert.equal(text.decode(lines.of(event).copies(1)), `${eventLine(event)}\n`);
    }
  }
  // The ring hands over the same object every time.
  const one = { ...asked[0]! };
  lines.of(one);
  one.detail = 3;
  assert.equal(text.decode(lines.of(one).copies(1)), `${eventLine(one)}\n`);
});
