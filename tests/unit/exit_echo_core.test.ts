import { answerEcho, EchoExit } from "../../src/exit/echo/core.ts";
import type { Cidr } from "../../src/ip/cidr.ts";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { Counters, type Snapshot } from "../../src/trace/counters.ts";
import { NO_EVENTS } from "../support/events.ts";
import { address, concat, echo, hex, ipv4, pattern, poisoned } from "../support/packets.ts";
import fc from "fast-check";
import assert from "node:assert/strict";

const BLOCK: Cidr = { address: address("10.5.51.2"), prefix: 24 };

/**
 * Sends a packet to an echo exit. Returns what it delivers, on which circuit, and what it counts.
 */
function send(packet: Uint8Array, block = BLOCK) {
  const delivered: [circuit: number, packet: Uint8Array][] = [];
  const counters = new Counters();
  const exit = new EchoExit(block, (circuit, packet, isFromWorld) => {
    assert.equal(isFromWorld, false);
    delivered.push([circuit, packet.copy()]);
  }, {
    counters,
    events: NO_EVENTS,
  });
  const buffer = poisoned(packet);
  const ip = new Ipv4View();
  assert.equal(ip.wrap(buffer), undefined);
  exit.send(7, buffer, ip, 0);
  assert.equal(exit.deadline, Infinity);
  return { delivered, counted: counters.snapshot() };
}

/**
 * A first ping of Linux from 10.5.51.2 to 10.5.51.7 with 56 bytes of data, and its answer. Marks
 * show the changes.
 */
const DATA = pattern(56);
const REQUEST = concat(
  hex("45 00 0054  1c46 4000  40 01 a450  0a053302  0a053307"),
  hex("08 00 5dfa  0007 0001"),
  DATA,
);
const REPLY = concat(
  //              DF is off     ^ checksum  ^ swapped
  hex("45 00 0054  1c46 0000  40 01 e450  0a053307  0a053302"),
  //   ^ type  ^ checksum
  hex("00 00 65fa  0007 0001"),
  DATA,
);

Deno.test("echo exit: golden bytes of a ping and its answer, on the request's circuit", () => {
  assert.deepEqual(send(REQUEST), { delivered: [[7, REPLY]], counted: {} });
});

Deno.test("echo exit: a reply keeps identifier, sequence number, data, identification and type of service", () => {
  const request = fc.record({
    tos: fc.nat(255),
    id: fc.nat(0xffff),
    dontFragment: fc.boolean(),
    ttl: fc.nat(255),
    words: fc.nat(10),
    echoId: fc.nat(0xffff),
    sequence: fc.nat(0xffff),
    data: fc.uint8Array({ maxLength: 200 }),
  });
  fc.assert(fc.property(request, ({ words, echoId, sequence, data, tos, id, dontFragment, ttl }) => {
    const message = { id: echoId, sequence, data };
    // Record route (RFC 791 §3.1). The reply has no options even if the request does.
    const options = new Uint8Array(4 * words);
    options.set(words === 0 ? [] : [7, 4 * words, 4]);
    const request = ipv4({ tos, id, dontFragment, ttl, options }, echo(message));
    const reply = ipv4(
      { tos, id, ttl: 64, source: "10.5.51.7", destination: "10.5.51.2" },
      echo({ ...message, type: 0 }),
    );
    assert.deepEqual(send(request), { delivered: [[7, reply]], counted: {} });
    assert.deepEqual(answerEcho(request), reply);
  }));
});

Deno.test("echo exit: every host of the block answers, but not the tunnel's own address", () => {
  const cases: [destination: string, counted: Snapshot][] = [
    ["10.5.51.1", {}],
    ["10.5.51.254", {}],
    ["10.5.51.2", { "bad-destination": 1 }], // the tunnel itself
    ["10.5.51.0", { "bad-destination": 1 }], // the block
    ["10.5.51.255", { "bad-destination": 1 }], // the broadcast address
    ["10.5.50.7", { "bad-destination": 1 }],
    ["10.5.52.7", { "bad-destination": 1 }],
    ["255.255.255.255", { "bad-destination": 1 }],
    ["224.0.0.1", { "bad-destination": 1 }],
  ];
  for (const [destination, counted] of cases) {
    const result = send(ipv4({ destination }, echo()));
    assert.deepEqual(result.counted, counted, destination);
    assert.equal(result.delivered.length, "bad-destination" in counted ? 0 : 1, destination);
  }
});

Deno.test("echo exit: in a block of two, the other address answers (RFC 3021)", () => {
  const block = { address: address("10.5.51.2"), prefix: 31 };
  assert.equal(send(ipv4({ destination: "10.5.51.3" }, echo()), block).delivered.length, 1);
  assert.deepEqual(send(ipv4({ destination: "10.5.51.2" }, echo()), block).counted, { "bad-destination": 1 });
});

Deno.test("echo exit: answers only requests", () => {
  for (let type = 0; type < 256; type++) {
    if (type === 8) continue;
    assert.deepEqual(send(ipv4({}, echo({ type }))), { delivered: [], counted: { "not-echo-request": 1 } });
    assert.equal(answerEcho(ipv4({}, echo({ type }))), undefined);
  }
});

Deno.test("answerEcho: refuses damaged packets, fragments, and what is no packet", () => {
  const cases: [what: string, packet: Uint8Array][] = [
    ["nothing", hex("")],
    ["cut short", REQUEST.subarray(0, -1)],
    ["no header checksum", ipv4({ checksum: 0 }, echo())],
    ["no ICMP checksum", ipv4({}, echo({ checksum: 1 }))],
    ["half an ICMP header", ipv4({}, echo().subarray(0, 4))],
    ["UDP", ipv4({ protocol: 17 }, echo())],
    ["a first fragment", ipv4({ moreFragments: true }, echo({ data: pattern(8) }))],
    ["a last fragment", ipv4({ offset: 8 }, echo())],
    ["longer than any packet", new Uint8Array(65_536)],
  ];
  for (const [what, packet] of cases) assert.equal(answerEcho(packet), undefined, what);
});

Deno.test("answerEcho: leaves the request as it was, and ignores padding after it", () => {
  const request = concat(REQUEST, pattern(3));
  const before = request.slice();
  assert.deepEqual(answerEcho(request), REPLY);
  assert.deepEqual(request, before);
});
