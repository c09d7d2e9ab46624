import assert from "node:assert/strict";
import fc from "fast-check";
import type { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { addressFromBits, formatIp } from "../../src/ip/address.ts";
import { decrementTtl, fragmentIpv4, Ipv4View, Protocol, writeIpv4Header } from "../../src/ip/ipv4.ts";
import {
  address,
  assertPoisonOutside,
  concat,
  cutPlainly,
  hex,
  ipv4,
  type Ipv4Header,
  joinPlainly,
  pattern,
  poisoned,
  readIpv4,
} from "../support/packets.ts";

/**
 * A datagram of UDP with nothing in it but its header (Wikipedia, "Internet checksum"), and padding
 * to its 115 bytes.
 */
const GOLDEN = concat(
  hex("45 00 0073  0000 4000  40 11 b861  c0a80001  c0a800c7"),
  pattern(95),
);

function faultOf(packet: Uint8Array): string | undefined {
  return new Ipv4View().wrap(poisoned(packet));
}

/** Every fragment that `fragmentIpv4` cuts, copied. */
function cut(buffer: PacketBuffer, mtu: number): Uint8Array[] {
  const fragments: Uint8Array[] = [];
  fragmentIpv4(buffer, mtu, () => fragments.push(buffer.copy()));
  return fragments;
}

const anyAddress = fc.integer({ min: 0, max: 0xffff_ffff }).map((bits) => formatIp(addressFromBits(bits)));

/** Well-formed options of 0 to 40 bytes: no-operations, copied ones, others, and padding. */
const anyOptions = fc.array(
  fc.oneof(
    fc.constant(hex("01")),
    fc.tuple(fc.constantFrom(7, 68, 130, 131, 136, 137, 148), fc.uint8Array({ maxLength: 9 }))
      .map(([type, data]) => concat(Uint8Array.of(type, 2 + data.length), data)),
  ),
  { maxLength: 12 },
).map((options) => {
  const whole = concat(...options.filter((_, index) => concat(...options.slice(0, index + 1)).length <= 40));
  return concat(whole, new Uint8Array((4 - whole.length % 4) % 4));
});

const anyHeader: fc.Arbitrary<Partial<Ipv4Header>> = fc.record({
  tos: fc.nat(255),
  id: fc.nat(0xffff),
  dontFragment: fc.boolean(),
  ttl: fc.nat(255),
  protocol: fc.nat(255),
  source: anyAddress,
  destination: anyAddress,
  options: anyOptions,
});

Deno.test("IPv4 view: reads every field of a published header", () => {
  const packet = poisoned(GOLDEN);
  const ip = new Ipv4View();
  assert.equal(ip.wrap(packet), undefined);
  assert.equal(ip.headerLength, 20);
  assert.equal(ip.totalLength, 115);
  assert.equal(ip.start, packet.start);
  assert.equal(ip.payload, packet.start + 20);
  assert.equal(ip.end, packet.start + 115);
  assert.equal(ip.typeOfService, 0);
  assert.equal(ip.identification, 0);
  assert.equal(ip.dontFragment, true);
  assert.equal(ip.moreFragments, false);
  assert.equal(ip.fragmentOffset, 0);
  assert.equal(ip.isFragment, false);
  assert.equal(ip.ttl, 64);
  assert.equal(ip.protocol, Protocol.udp);
  assert.equal(formatIp(ip.source), "192.168.0.1");
  assert.equal(formatIp(ip.destination), "192.168.0.199");
});

Deno.test("IPv4 view: reads every field of any header with any options", () => {
  const ip = new Ipv4View();
  fc.assert(fc.property(anyHeader, fc.uint8Array({ maxLength: 64 }), (header, payload) => {
    const bytes = ipv4(header, payload);
    const packet = poisoned(bytes);
    assert.equal(ip.wrap(packet), undefined);
    const plain = readIpv4(bytes);
    assert.equal(ip.headerLength, 20 + plain.options.length);
    assert.equal(ip.totalLength, bytes.length);
    assert.equal(ip.typeOfService, plain.tos);
    assert.equal(ip.identification, plain.id);
    assert.equal(ip.dontFragment, plain.dontFragment);
    assert.equal(ip.ttl, plain.ttl);
    assert.equal(ip.protocol, plain.protocol);
    assert.equal(ip.source, plain.source);
    assert.equal(ip.destination, plain.destination);
    assert.deepEqual(packet.bytes.slice(ip.payload, ip.end), payload);
  }));
});

Deno.test("writeIpv4Header: writes every byte of the header", () => {
  fc.assert(fc.property(anyHeader, fc.nat(64), (header, length) => {
    const buffer = poisoned();
    buffer.hold(20 + length);
    writeIpv4Header(buffer.view, buffer.start, buffer.end, {
      typeOfService: header.tos!,
      identification: header.id!,
      dontFragment: header.dontFragment!,
      ttl: header.ttl!,
      protocol: header.protocol!,
      source: address(header.source!),
      destination: address(header.destination!),
    });
    assertPoisonOutside(buffer, buffer.start, buffer.start + 20);
    const { options: _, ...fields } = header;
    assert.deepEqual(buffer.copy(), ipv4(fields, new Uint8Array(length).fill(0xa5)));
  }));
});

Deno.test("IPv4 view: rejects each truncated packet", () => {
  for (const packet of [GOLDEN, ipv4({ options: hex("07 07 04 00000000 00") }, pattern(8))]) {
    assert.equal(faultOf(packet), undefined);
    for (let length = 0; length < packet.length; length++) {
      const want = length === 0 ? "not-ipv4" : "bad-length";
      assert.equal(faultOf(packet.subarray(0, length)), want, `${length} bytes`);
    }
  }
});

Deno.test("IPv4 view: names each fault", () => {
  const payload = pattern(16);
  const cases: [what: string, packet: Uint8Array, want: string | undefined][] = [
    ["IPv6", ipv4({ version: 6 }, payload), "not-ipv4"],
    ["version 0", ipv4({ version: 0 }, payload), "not-ipv4"],
    ["one byte of version 4", hex("45"), "bad-length"],
    ["a header of no words", ipv4({ ihl: 0 }, payload), "bad-length"],
    ["a header of four words", ipv4({ ihl: 4 }, payload), "bad-length"],
    ["a header longer than the packet", ipv4({ ihl: 15 }, payload), "bad-length"],
    ["a header longer than the total length", ipv4({ ihl: 9, totalLength: 35 }, payload), "bad-length"],
    ["a header that is the whole packet", ipv4({ ihl: 9 }, payload), undefined],
    ["total length shorter than a header", ipv4({ totalLength: 19 }, payload), "bad-length"],
    ["total length zero", ipv4({ totalLength: 0 }, payload), "bad-length"],
    ["total length one too long", ipv4({ totalLength: 37 }, payload), "bad-length"],
    ["total length far too long", ipv4({ totalLength: 0xffff }, payload), "bad-length"],
    ["no payload", ipv4({}, new Uint8Array()), undefined],
    ["a checksum that is wrong by one", ipv4({ checksum: 1 }, payload), "header-checksum"],
    ["a first fragment of no multiple of 8", ipv4({ moreFragments: true }, pattern(15)), "bad-fragment"],
    ["a first fragment of nothing", ipv4({ moreFragments: true }, new Uint8Array()), "bad-fragment"],
    ["a last fragment of nothing", ipv4({ offset: 16 }, new Uint8Array()), "bad-fragment"],
    ["a last fragment of one byte", ipv4({ offset: 16 }, pattern(1)), undefined],
    // 20 + 65,512 + 3 is 65,535, the max length of a packet.
    ["a fragment up to the last byte", ipv4({ offset: 65_512 }, pattern(3)), undefined],
    ["a fragment beyond it", ipv4({ offset: 65_512 }, pattern(4)), "bad-fragment"],
    ["a middle fragment beyond it", ipv4({ offset: 65_512, moreFragments: true }, payload), "bad-fragment"],
  ];
  for (const [what, packet, want] of cases) assert.equal(faultOf(packet), want, what);
});

Deno.test("IPv4 view: rejects each flipped bit of the header", () => {
  for (let bit = 0; bit < 160; bit++) {
    const packet = GOLDEN.slice();
    packet[bit >>> 3]! ^= 0x80 >>> (bit & 7);
    assert.notEqual(faultOf(packet), undefined, `bit ${bit}`);
  }
});

Deno.test("IPv4 view: cuts off padding behind the total length", () => {
  const packet = poisoned(concat(GOLDEN, new Uint8Array(11)));
  const ip = new Ipv4View();
  assert.equal(ip.wrap(packet), undefined);
  assert.equal(ip.end, packet.start + GOLDEN.length);
  assert.deepEqual(packet.copy(), GOLDEN);
});

Deno.test("IPv4 view: shows one packet after another", () => {
  const ip = new Ipv4View();
  ip.wrap(poisoned(GOLDEN));
  ip.wrap(poisoned(ipv4({ ttl: 7, options: pattern(40) }, pattern(8))));
  assert.equal(ip.ttl, 7);
  assert.equal(ip.headerLength, 60);
  ip.wrap(poisoned(GOLDEN));
  assert.equal(ip.ttl, 64);
  assert.equal(ip.headerLength, 20);
});

Deno.test("decrementTtl: keeps the header checksum right", () => {
  fc.assert(fc.property(anyHeader, fc.integer({ min: 1, max: 255 }), (header, ttl) => {
    const buffer = poisoned(ipv4({ ...header, ttl }, hex("")));
    decrementTtl(buffer.view, buffer.start);
    assert.deepEqual(buffer.copy(), ipv4({ ...header, ttl: ttl - 1 }, hex("")));
  }));
});

Deno.test("fragmentIpv4: makes the fragments of RFC 791 appendix A, example 2", () => {
  // 452 octets of TCP data, identification 111, MTU 280. The first fragment has 256 octets and a
  // total length of 276; the second has 196 at offset 32 (words of 8) and 216.
  const data = pattern(452);
  const header = { id: 111, ttl: 123, protocol: Protocol.tcp };
  const [first, second, ...more] = cut(poisoned(ipv4(header, data)), 280);
  assert.deepEqual(first, ipv4({ ...header, moreFragments: true, offset: 0 }, data.subarray(0, 256)));
  assert.deepEqual(second, ipv4({ ...header, moreFragments: false, offset: 256 }, data.subarray(256)));
  assert.equal(first!.length, 276);
  assert.equal(second!.length, 216);
  assert.deepEqual(more, []);
});

Deno.test("fragmentIpv4: copies only options with the copied flag into later fragments", () => {
  const recordRoute = hex("07 07 04 00000000"); // type 7: not copied
  const looseRoute = hex("83 07 04 c0000201"); // type 131: copied
  const routerAlert = hex("94 04 0000"); // type 148: copied
  const noOperation = hex("01");
  const options = concat(recordRoute, noOperation, looseRoute, noOperation, routerAlert);
  assert.equal(options.length, 20);
  const data = pattern(64);
  // At most 20 + 20 + 24 bytes fit into 68. Later headers have 32 bytes, and 32 + 32 fits.
  const fragments = cut(poisoned(ipv4({ options }, data)), 68);
  const later = concat(looseRoute, routerAlert, hex("00"));
  assert.deepEqual(fragments, [
    ipv4({ options, moreFragments: true }, data.subarray(0, 24)),
    ipv4({ options: later, moreFragments: true, offset: 24 }, data.subarray(24, 56)),
    ipv4({ options: later, offset: 56 }, data.subarray(56)),
  ]);
});

Deno.test("fragmentIpv4: drops malformed options, and all behind them, from later fragments", () => {
  const cases: [what: string, options: string, later: string][] = [
    ["an end of list hides the rest", "94040000 00 940400", "94040000"],
    ["a length of zero", "94040000 8300 0000", "94040000"],
    ["a length of one", "94040000 8301 0000", "94040000"],
    ["a length beyond the header", "94040000 8305 0000", "94040000"],
    ["a type without a length", "94040000 010101 83", "94040000"],
    ["no-operations only", "01010101", ""],
  ];
  for (const [what, text, later] of cases) {
    const [first, second] = cut(poisoned(ipv4({ options: hex(text) }, pattern(64))), 68);
    assert.deepEqual(readIpv4(first!).options, hex(text), what);
    assert.deepEqual(readIpv4(second!).options, hex(later), what);
  }
});

Deno.test("fragmentIpv4: fits the longest header and 8 bytes of data into the min MTU (RFC 791 §3.2)", () => {
  const looseRoute = hex("83 27 04"); // 39 bytes, all copied
  const options = concat(looseRoute, pattern(36), hex("00"));
  const data = pattern(41);
  const fragments = cut(poisoned(ipv4({ options }, data)), 68);
  assert.deepEqual(fragments.map((fragment) => fragment.length), [68, 68, 68, 68, 68, 61]);
  assert.deepEqual(joinPlainly(fragments), data);
});

Deno.test("fragmentIpv4: throws for an MTU below the min", () => {
  const options = new Uint8Array(40).fill(1);
  for (const mtu of [67, 60, 20, 0]) {
    assert.throws(() => cut(poisoned(ipv4({ options }, pattern(41))), mtu), RangeError);
  }
});

Deno.test("fragmentIpv4: leaves a packet that fits unchanged", () => {
  const packet = ipv4({ dontFragment: true }, pattern(100));
  assert.deepEqual(cut(poisoned(packet), packet.length), [packet]);
  assert.equal(cut(poisoned(packet), packet.length - 1).length, 2);
});

Deno.test("fragmentIpv4: tiles any datagram exactly, within the MTU", () => {
  const size = fc.oneof(fc.nat(300), fc.nat(5000), fc.constant(65_475));
  fc.assert(
    fc.property(anyHeader, size, fc.integer({ min: 68, max: 1500 }), (header, length, mtu) => {
      const payload = pattern(length);
      const datagram = ipv4(header, payload);
      const buffer = poisoned(datagram, datagram.length + 32);
      const { start, end } = buffer;
      const fragments = cut(buffer, mtu);
      assertPoisonOutside(buffer, start, end);
      assert.deepEqual(joinPlainly(fragments), payload);
      for (const [index, fragment] of fragments.entries()) {
        assert.ok(fragment.length <= mtu, `${fragment.length} bytes exceed ${mtu}`);
        const { moreFragments: _more, offset: _offset, payload: _, options, ...fields } = readIpv4(fragment);
        const { moreFragments: _1, offset: _2, payload: _3, options: whole, ...same } = readIpv4(datagram);
        assert.deepEqual(fields, same);
        if (index === 0) assert.deepEqual(options, whole);
      }
    }),
  );
});

Deno.test("fragmentIpv4: cuts fragments again for a smaller MTU", () => {
  fc.assert(
    fc.property(
      anyHeader,
      fc.integer({ min: 1, max: 3000 }),
      fc.integer({ min: 68, max: 300 }),
      fc.integer({ min: 8, max: 200 }).map((eighths) => eighths * 8),
      (header, length, mtu, step) => {
        const payload = pattern(length);
        const wide = cutPlainly(header, payload, step);
        assert.deepEqual(joinPlainly(wide.flatMap((fragment) => cut(poisoned(fragment), mtu))), payload);
      },
    ),
  );
});
