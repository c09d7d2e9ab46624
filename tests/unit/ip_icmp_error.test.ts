/**
 * ICMP errors. Linux 6.18 wrote the golden bytes as a router in a network namespace: address
 * 10.5.51.1/24, forwarding on, a link with an MTU of 1280 bytes, one prohibited block.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { IcmpType, Unreachable } from "../../src/ip/icmp.ts";
import { findQuote, type IcmpError, mayCauseError, writeIcmpError } from "../../src/ip/icmp_error.ts";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import {
  address,
  assertPoisonOutside,
  concat,
  cutPlainly,
  echo,
  hex,
  ipv4,
  type Ipv4Header,
  pattern,
  plainSum,
  poisoned,
  readIpv4,
} from "../support/packets.ts";

/** `ping -t 1 -Q 0x28 -s 16 -M do 192.0.2.7`, and Time Exceeded. */
const SHORT_LIVED = hex(`
  4528 002c 4711 4000 0101 338a 0a053302 c0000207
  08 00 6d4b beef 0001 001f3e5d7c9bbad9f81736557493b2d1`);
const TIME_EXCEEDED = hex(`
  45c8 0048 0b82 0000 4001 f45e 0a053301 0a053302
  0b 00 f4ff 0000 0000
  4528 002c 4711 4000 0101 338a 0a053302 c0000207
  08 00 6d4b beef 0001 001f3e5d7c9bbad9f81736557493b2d1`);

/** `ping -s 1472 -M do`, and Fragmentation Needed with an MTU of 1280 bytes and a cut quote. */
const TOO_LONG = concat(
  hex("4500 05dc 4712 4000 4001 ef00 0a053302 c0000207  08 00 c97e beef 0002"),
  pattern(1472),
);
const FRAGMENTATION_NEEDED = concat(
  hex(`
    45c0 0240 0b83 0000 4001 f26d 0a053301 0a053302
    03 04 b961 0000 0500
    4500 05dc 4712 4000 4001 ef00 0a053302 c0000207  08 00 c97e beef 0002`),
  pattern(1472).subarray(0, 520),
);

/** A query to a name server in a prohibited block, and the refusal. */
const REFUSED = hex(`
  4500 0020 4713 0000 4011 cc78 0a053302 c6336407
  c350 0035 000c 0000 61626364`);
const PROHIBITED = hex(`
  45c0 003c 0b8c 0000 4001 f468 0a053301 0a053302
  03 0d 749a 0000 0000
  4500 0020 4713 0000 4011 cc78 0a053302 c6336407
  c350 0035 000c 0000 61626364`);

/** Time Exceeded for `ping -R -t 1`: the error and its quote have a record route option. */
const WITH_OPTIONS = hex(`
  47c0 004c 0b8d 0000 4001 dd13 0a053301 0a053302 0707080a 05330100
  0b 00 eac2 0000 0000
  4700 0028 4714 0000 0101 66ac 0a053302 c0000207 0707080a 05330100
  08 00 b979 0007 0003 001f3e5d`);

const ROUTER = address("10.5.51.1");
const CLIENT = address("10.5.51.2");
const { timeExceeded, destinationUnreachable } = IcmpType;

function view(packet: PacketBuffer): Ipv4View {
  const ip = new Ipv4View();
  assert.equal(ip.wrap(packet), undefined);
  return ip;
}

/** Writes an error about a packet, and checks that no other byte changed. */
function say(error: IcmpError, about: Uint8Array): Uint8Array<ArrayBuffer> {
  const from = poisoned(about);
  const into = poisoned();
  writeIcmpError(into, error, from, view(from), ROUTER);
  assertPoisonOutside(into, into.start, into.end);
  assert.deepEqual(from.copy(), about, "the packet itself is unchanged");
  return into.copy();
}

/** Offsets in an ICMP message of the quoted header and payload. */
function quoteIn(message: Uint8Array): { header: number; payload: number } | undefined {
  const buffer = poisoned(message);
  const quote = findQuote(buffer.view, buffer.start, buffer.end);
  return quote && { header: quote.header - buffer.start, payload: quote.payload - buffer.start };
}

function asks(header: Partial<Ipv4Header> = {}, payload = echo({ data: pattern(24) })): boolean {
  const packet = poisoned(ipv4(header, payload));
  return mayCauseError(packet, view(packet));
}

Deno.test("ICMP error: has the bytes that a Linux router writes", () => {
  const { administrativelyProhibited, fragmentationNeeded } = Unreachable;
  const cases: [name: string, error: IcmpError, about: Uint8Array, linux: Uint8Array][] = [
    ["time exceeded", { type: timeExceeded, code: 0 }, SHORT_LIVED, TIME_EXCEEDED],
    [
      "fragmentation needed",
      { type: destinationUnreachable, code: fragmentationNeeded, mtu: 1280 },
      TOO_LONG,
      FRAGMENTATION_NEEDED,
    ],
    ["prohibited", { type: destinationUnreachable, code: administrativelyProhibited }, REFUSED, PROHIBITED],
  ];
  for (const [name, error, about, linux] of cases) {
    const ours = readIpv4(say(error, about));
    const theirs = readIpv4(linux);
    assert.deepEqual(ours.payload, theirs.payload, name);
    const { source, destination, ttl, protocol, offset, moreFragments, options } = ours;
    assert.deepEqual(
      { source, destination, ttl, protocol, offset, moreFragments, options },
      {
        source: theirs.source,
        destination: theirs.destination,
        ttl: theirs.ttl,
        protocol: 1,
        offset: 0,
        moreFragments: false,
        options: theirs.options,
      },
    );
    // We differ here: our error is never fragmented, so it needs no identification (RFC 6864 §4.1).
    assert.deepEqual([ours.dontFragment, ours.id, ours.tos], [true, 0, 0xc0]);
  }
});

Deno.test("findQuote: finds the quotes of a Linux router", () => {
  for (const error of [TIME_EXCEEDED, FRAGMENTATION_NEEDED, PROHIBITED]) {
    assert.deepEqual(quoteIn(readIpv4(error).payload), { header: 8, payload: 28 });
  }
  assert.deepEqual(quoteIn(readIpv4(WITH_OPTIONS).payload), { header: 8, payload: 36 }, "behind its options");
});

Deno.test("ICMP error: has right addresses, checksums, and quote for any packet", () => {
  const anyPacket = fc.record({
    tos: fc.nat(255),
    ttl: fc.nat(255),
    id: fc.nat(0xffff),
    dontFragment: fc.boolean(),
    protocol: fc.nat(255),
    options: fc.nat(10).map((words) => pattern(4 * words)),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.integer({ min: 480, max: 3000 }).map((n) => pattern(n)),
    ),
  });
  const anyError = fc.record({ type: fc.nat(255), code: fc.nat(255), mtu: fc.nat(0xffff) });
  fc.assert(fc.property(anyPacket, anyError, ({ payload, ...header }, error) => {
    const about = ipv4({ ...header, source: "10.5.51.2", destination: "192.0.2.7" }, payload);
    const whole = say(error, about);
    assert.ok(whole.length <= 576);
    const { source, destination, payload: message } = readIpv4(whole);
    assert.deepEqual([source, destination], [ROUTER, CLIENT]);
    assert.equal(plainSum(message), 0xffff, "the ICMP checksum");
    assert.deepEqual(message.subarray(0, 2), Uint8Array.of(error.type, error.code));
    assert.deepEqual(message.subarray(4, 8), Uint8Array.of(0, 0, error.mtu >>> 8, error.mtu));
    assert.deepEqual(message.subarray(8), about.subarray(0, whole.length - 28));
    assert.equal(whole.length, Math.min(28 + about.length, 576));
  }));
});

Deno.test("ICMP error: quotes the whole packet, or up to a length of 576 bytes", () => {
  const exceeded = { type: timeExceeded, code: 0 };
  for (const [length, want] of [[28, 56], [547, 575], [548, 576], [549, 576], [65_535, 576]] as const) {
    assert.equal(say(exceeded, ipv4({}, pattern(length - 20))).length, want, `about ${length} bytes`);
  }
});

Deno.test("mayCauseError: allows errors about pings, other datagrams, and first fragments", () => {
  assert.ok(asks(), "a ping");
  assert.ok(asks({ protocol: 17 }, pattern(8)), "a datagram of another protocol");
  assert.ok(asks({ protocol: 6 }, new Uint8Array()), "even an empty one");
  assert.ok(asks({ moreFragments: true }), "a first fragment");
  for (const type of [0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42]) {
    assert.ok(asks({}, echo({ type })), `ICMP type ${type}, a query or reply`);
  }
});

Deno.test("mayCauseError: forbids errors about errors, later fragments, and group addresses", () => {
  for (const type of [3, 4, 5, 11, 12]) {
    assert.ok(!asks({}, echo({ type })), `ICMP type ${type}: two routers could answer each other forever`);
  }
  assert.ok(!asks({}, new Uint8Array()), "ICMP without a type: it may have been an error");
  assert.ok(!asks({ offset: 8 }), "a later fragment");
  assert.ok(!asks({ offset: 1480, moreFragments: true }), "a fragment in the middle");
  assert.ok(!asks({ protocol: 17, offset: 1480 }), "a later fragment of another protocol");
  for (
    const destination of ["255.255.255.255", "224.0.0.1", "239.1.2.3", "240.0.0.1", "0.0.0.0", "127.0.0.1"]
  ) {
    assert.ok(!asks({ destination }), `to ${destination}`);
  }
  for (const source of ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.5", "255.255.255.255", "240.0.0.1"]) {
    assert.ok(!asks({ source }), `from ${source}, which is no single host`);
  }
});

Deno.test("mayCauseError: allows one error for all fragments of a datagram", () => {
  const fragments = cutPlainly({ ttl: 1 }, echo({ data: pattern(4000) }), 1480);
  const causes = fragments.toReversed().map((fragment) => {
    const packet = poisoned(fragment);
    return mayCauseError(packet, view(packet));
  });
  assert.deepEqual(causes, [false, false, true]);
});

Deno.test("findQuote: requires 8 bytes of payload, the min of RFC 792", () => {
  const message = readIpv4(TIME_EXCEEDED).payload;
  for (let length = 0; length < message.length; length++) {
    const found = quoteIn(message.subarray(0, length)) !== undefined;
    assert.equal(found, length >= 8 + 20 + 8, `${length} bytes`);
  }
  const options = readIpv4(WITH_OPTIONS).payload;
  for (let length = 0; length < options.length; length++) {
    assert.equal(quoteIn(options.subarray(0, length)) !== undefined, length >= 8 + 28 + 8, `${length} bytes`);
  }
});

Deno.test("findQuote: rejects an invalid header and a later fragment", () => {
  const message = readIpv4(TIME_EXCEEDED).payload;
  const changed = (at: number, value: number) => message.with(at, value);
  const cases: [name: string, message: Uint8Array][] = [
    ["IPv6", changed(8, 0x65)],
    ["version 0", changed(8, 0x05)],
    ["a header of 16 bytes", changed(8, 0x44)],
    ["a header of 0 bytes", changed(8, 0x40)],
    ["a header longer than the quote", changed(8, 0x4f)],
    [
      "a second fragment: it has no ICMP header",
      concat(message.subarray(0, 14), hex("0001"), message.subarray(16)),
    ],
    [
      "the last possible fragment",
      concat(message.subarray(0, 14), hex("1fff"), message.subarray(16)),
    ],
  ];
  for (const [name, message] of cases) assert.equal(quoteIn(message), undefined, name);
  assert.ok(
    quoteIn(concat(message.subarray(0, 14), hex("2000"), message.subarray(16))),
    "a first fragment",
  );
});

Deno.test("findQuote: never reaches outside the message", () => {
  const almost = fc.tuple(
    fc.uint8Array({ minLength: 8, maxLength: 8 }),
    fc.integer({ min: 0x40, max: 0x4f }),
    fc.uint8Array({ maxLength: 90 }),
  )
    .map(([start, first, rest]) => concat(start, Uint8Array.of(first), rest));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), almost), (message) => {
      const quote = quoteIn(message);
      if (quote === undefined) return;
      assert.equal(quote.header, 8);
      assert.ok(quote.payload >= 28 && quote.payload + 8 <= message.length);
    }),
    { numRuns: 1000 },
  );
});
