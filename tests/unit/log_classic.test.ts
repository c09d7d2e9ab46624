/**
 * The lines that people compare with course material: each is held to its last blank.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventLine, EventLines, eventObject, proxyLine, routerLine } from "../../src/log/classic.ts";
import { type Event, EventKind } from "../../src/trace/events.ts";
import { address } from "../support/packets.ts";

function event(kind: EventKind, fields: Partial<Event> = {}): Event {
  return {
    kind,
    source: address("10.5.51.2"),
    destination: address("10.5.51.7"),
    detail: 8,
    port: 0,
    ...fields,
  };
}

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
      event(EventKind.unknownCircuit, { source: 0, destination: 0, detail: 0x0a, port: 51_234 }),
      "unknown incoming circuit: 0x0a, src: 0.0.0.0, dst: 0.0.0.0",
      { event: "unknown-circuit", circuit: "0x0a", port: 51_234 },
    ],
  };

Deno.test("the lines that introduce proxy and router", () => {
  assert.equal(proxyLine(40_123), "proxy port: 40123");
  assert.equal(routerLine(1, 4711, 40_124), "router: 1, pid: 4711, port: 40124");
});

Deno.test("the line of each kind of event", () => {
  for (const [event, line] of Object.values(EVENTS)) assert.equal(eventLine(event), line);
});

Deno.test("each kind of event as an object, for JSON lines", () => {
  for (const [event, , object] of Object.values(EVENTS)) assert.deepEqual(eventObject(event), object);
});

Deno.test("addresses above 128.0.0.0 and circuits above 0x80000000 are not negative", () => {
  const highest = { source: 0xffff_ffff, destination: 0x8000_0000, detail: 0xffff_ffff };
  assert.equal(
    eventLine(event(EventKind.unknownCircuit, highest)),
    "unknown incoming circuit: 0xffffffff, src: 255.255.255.255, dst: 128.0.0.0",
  );
});

Deno.test("lines as bytes are those lines, also when more are asked for than are kept, and asked for again", () => {
  const lines = new EventLines();
  const text = new TextDecoder();
  const first = address("10.5.0.0");
  const asked: Event[] = [];
  for (let host = 0; host < 20_000; host++) {
    asked.push(event(EventKind.icmpFromTunnel, { destination: first + host }));
    asked.push(event(EventKind.icmpFromPort, { source: first + host, detail: 0, port: host }));
    asked.push(event(EventKind.icmpFromPort, { source: first + host, detail: 0, port: host + 1 }));
    asked.push(event(EventKind.unknownCircuit, { detail: host }));
  }
  for (const event of [...asked.slice(-1000), ...asked]) {
    for (const _ of ["formatted", "kept"]) {
      assert.equal(text.decode(lines.bytes(event)), `${eventLine(event)}\n`);
    }
  }
  // The ring hands over the same object every time.
  const one = { ...asked[0]! };
  lines.bytes(one);
  one.detail = 3;
  assert.equal(text.decode(lines.bytes(one)), `${eventLine(one)}\n`);
});
