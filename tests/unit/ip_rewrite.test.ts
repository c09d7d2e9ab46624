import assert from "node:assert/strict";
import fc from "fast-check";
import { addressFromBits, formatIp, type IpAddress, UNSPECIFIED } from "../../src/ip/address.ts";
import { type AddressSide, decrementTtl, Ipv4View } from "../../src/ip/ipv4.ts";
import { replaceAddress, type TransportChecksum } from "../../src/ip/rewrite.ts";
import {
  address,
  addressNumber,
  assertPoisonOutside,
  concat,
  cutPlainly,
  echo,
  hex,
  ipv4,
  pattern,
  plainChecksum,
  plainSum,
  poisoned,
  readIpv4,
} from "../support/packets.ts";

const [CLIENT, WORLD, EXIT, ROUTER] = ["10.0.2.15", "128.30.2.155", "192.168.203.2", "100.64.1.1"];
const [TCP, UDP] = [6, 17];

/** Replaces an address of a packet in a poisoned buffer. */
function replaced(
  packet: Uint8Array,
  side: AddressSide,
  to: string,
  checksum?: TransportChecksum,
): Uint8Array<ArrayBuffer> {
  const [buffer, ip] = [poisoned(packet), new Ipv4View()];
  assert.equal(ip.wrap(buffer), undefined);
  replaceAddress(buffer, ip, side, address(to), checksum);
  assert.equal(ip[side], address(to), "the view shows the new address");
  assertPoisonOutside(buffer, buffer.start, buffer.end);
  return buffer.copy();
}

/** Replaces an address and lowers the TTL, as a NAT router does. */
function translated(packet: Uint8Array, side: AddressSide, to: string): Uint8Array {
  const buffer = poisoned(replaced(packet, side, to));
  decrementTtl(buffer.view, buffer.start);
  return buffer.copy();
}

/** The sum of a transport's pseudo header (RFC 9293 §3.1), not complemented. */
function pseudoSum(source: string, destination: string, protocol: number, length: number): number {
  const header = new DataView(new ArrayBuffer(12));
  header.setUint32(0, addressNumber(source));
  header.setUint32(4, addressNumber(destination));
  header.setUint16(8, protocol);
  header.setUint16(10, length);
  return plainSum(new Uint8Array(header.buffer));
}

/** A valid TCP segment or UDP datagram between two hosts, or one with another checksum. */
function segment(
  protocol: number,
  [source, destination]: readonly [string, string],
  data: Uint8Array,
  checksum?: number,
): Uint8Array<ArrayBuffer> {
  const header = protocol === TCP
    ? hex("9c43 01bb 12345678 00000000 5002 faf0 0000 0000")
    : hex("9c40 0035 0000 0000");
  const bytes = concat(header, data);
  const view = new DataView(bytes.buffer);
  if (protocol === UDP) view.setUint16(4, bytes.length);
  const pseudo = new DataView(new ArrayBuffer(2));
  pseudo.setUint16(0, pseudoSum(source, destination, protocol, bytes.length));
  const whole = plainChecksum(concat(new Uint8Array(pseudo.buffer), bytes));
  view.setUint16(protocol === TCP ? 16 : 6, checksum ?? (protocol === UDP ? whole || 0xffff : whole));
  return bytes;
}

function packet(
  protocol: number,
  [source, destination]: readonly [string, string],
  data: Uint8Array,
  sum?: number,
) {
  return ipv4({ source, destination, protocol }, segment(protocol, [source, destination], data, sum));
}

/** An ICMP error of a router about a packet. */
function error(to: string, quoted: Uint8Array, type = 11): Uint8Array<ArrayBuffer> {
  return ipv4({ source: ROUTER, destination: to }, echo({ type, id: 0, sequence: 0, data: quoted }));
}

/** Packets before and after a Linux 6.18 router with `snat to 192.168.203.2`. */
const LINUX_NAT: readonly [what: string, side: AddressSide, to: string, before: string, after: string][] = [
  [
    "UDP outward",
    "source",
    EXIT,
    "45000021471100004011a4f30a00020f801e029b 9c400035000d84ae7175657279",
    "45000021471100003f112657c0a8cb02801e029b 9c400035000d05127175657279",
  ],
  [
    "UDP without a checksum",
    "source",
    EXIT,
    "45000021471200004011a4f20a00020f801e029b 9c410035000d00007175657279",
    "45000021471200003f112656c0a8cb02801e029b 9c410035000d00007175657279",
  ],
  [
    "UDP whose checksum becomes 0",
    "source",
    EXIT,
    "4500001e471300004011a4f40a00020f801e029b 9c420035000a7f9c54fe",
    "4500001e471300003f112658c0a8cb02801e029b 9c420035000affff54fe",
  ],
  [
    "TCP outward",
    "source",
    EXIT,
    "4500002c471400004006a4f00a00020f801e029b 9c4301bb12345678000000006002faf007c30000020405b4",
    "4500002c471400003f062654c0a8cb02801e029b 9c4301bb12345678000000006002faf088260000020405b4",
  ],
  [
    "TCP homeward",
    "destination",
    CLIENT,
    "450000280011000032067a5b801e029bc0a8cb02 01bb9c439abcdef0123456795012faf026240000",
    "45000028001100003106faf7801e029b0a00020f 01bb9c439abcdef0123456795012faf0a5c00000",
  ],
  [
    "an error that quotes a TCP segment",
    "destination",
    CLIENT,
    `45000048002200003c018da764400101c0a8cb02 0b00038300000000
     4500002c471400003f062654c0a8cb02801e029b 9c4301bb12345678000000006002faf088260000020405b4`,
    `45000048002200003b010e44644001010a00020f 0b0083e600000000
     4500002c471400003f06a5f00a00020f801e029b 9c4301bb12345678000000006002faf007c30000020405b4`,
  ],
  [
    "an error that quotes 8 bytes of a TCP segment",
    "destination",
    CLIENT,
    `45000038002200003c018db764400101c0a8cb02 0b00ee5400000000
     4500002c471400003f062654c0a8cb02801e029b 9c4301bb12345678`,
    `45000038002200003b010e54644001010a00020f 0b00ee5400000000
     4500002c471400003f06a5f00a00020f801e029b 9c4301bb12345678`,
  ],
  [
    "an error that quotes a UDP datagram",
    "destination",
    CLIENT,
    `4500003d002300003c018db164400101c0a8cb02 03030b8000000000
     45000021471100003f112657c0a8cb02801e029b 9c400035000d05127175657279`,
    `4500003d002300003b010e4e644001010a00020f 03038be300000000
     45000021471100003f11a5f30a00020f801e029b 9c400035000d84ae7175657279`,
  ],
];

Deno.test("replaceAddress: writes the bytes that Linux's NAT writes", () => {
  for (const [what, side, to, before, after] of LINUX_NAT) {
    assert.deepEqual(translated(hex(before), side, to), hex(after), what);
  }
});

/** Packets of Linux 6.18 with two sources, from a TUN device with TUN_F_CSUM: NEEDS_CSUM is set. */
const NEEDS_CSUM: readonly [what: string, byClient: string, byExit: string][] = [
  [
    "UDP",
    "450000215e14400040114df00a00020f801e029b 9c400035000d8ee67175657279",
    "45000021b13f400040117b28c0a8cb02801e029b 9c400035000d0e837175657279",
  ],
  [
    "TCP",
    `4500003c01e240004006aa120a00020f801e029b 9c4301bb7cd17a3a00000000a002faf0 8ef6 0000
     020405b40402080ad24ce6c1000000000103030a`,
    `4500003c84a540004006a7b2c0a8cb02801e029b 9c4301bb7cd17a3a00000000a002faf0 0e93 0000
     020405b40402080ad24ce6c1000000000103030a`,
  ],
];

Deno.test("replaceAddress: updates a pseudo-header sum as Linux computes it", () => {
  for (const [what, byClient, byExit] of NEEDS_CSUM) {
    assert.deepEqual(
      replaced(hex(byClient), "source", EXIT, "pseudo-header").subarray(20),
      hex(byExit).subarray(20),
      what,
    );
    assert.deepEqual(
      replaced(hex(byExit), "source", CLIENT, "pseudo-header").subarray(20),
      hex(byClient).subarray(20),
      what,
    );
    readIpv4(replaced(hex(byClient), "source", EXIT, "pseudo-header"));
  }
});

const anyIp = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }).map((bits) => formatIp(addressFromBits(bits))),
  fc.constantFrom("0.0.0.0", "255.255.255.255", "0.0.255.255", "255.255.0.0", "128.0.0.1"),
);
const anyData = fc.uint8Array({ maxLength: 40 });
const anyProtocol = fc.constantFrom(TCP, UDP);
const anySide = fc.constantFrom<AddressSide>("source", "destination");

/** Both addresses with one of them replaced. */
function endsWith(
  [source, destination]: readonly [string, string],
  side: AddressSide,
  to: string,
): [string, string] {
  return side === "source" ? [to, destination] : [source, to];
}

/** Checks any packet, with its addresses before (`ends`) and after (`now`) one is replaced. */
function checkAny(
  check: (protocol: number, ends: [string, string], now: [string, string], data: Uint8Array) => {
    readonly before: Uint8Array;
    readonly after: Uint8Array;
    readonly checksum: TransportChecksum;
  },
): void {
  fc.assert(
    fc.property(
      anyProtocol,
      fc.tuple(anyIp, anyIp),
      anySide,
      anyIp,
      anyData,
      (protocol, ends, side, to, data) => {
        const { before, after, checksum } = check(protocol, ends, endsWith(ends, side, to), data);
        assert.deepEqual(replaced(before, side, to, checksum), after);
      },
    ),
  );
}

Deno.test("replaceAddress: agrees with a new computation of the checksum", () => {
  checkAny((protocol, ends, now, data) => ({
    before: packet(protocol, ends, data),
    after: packet(protocol, now, data),
    checksum: "whole",
  }));
});

Deno.test("replaceAddress: agrees with a new computation of the pseudo-header sum", () => {
  checkAny((protocol, ends, now, data) => {
    const length = data.length + (protocol === TCP ? 20 : 8);
    const withSum = (each: [string, string]) =>
      packet(protocol, each, data, pseudoSum(...each, protocol, length));
    return { before: withSum(ends), after: withSum(now), checksum: "pseudo-header" };
  });
});

Deno.test("replaceAddress: replaces the address in any quote, cut or whole", () => {
  fc.assert(
    fc.property(
      anyProtocol,
      anyIp,
      anyIp,
      anyData,
      fc.nat(60).filter((cut) => cut !== 9), // which would halve the checksum of a TCP segment
      fc.constantFrom(3, 4, 5, 11, 12),
      (protocol, own, to, data, cut, type) => {
        fc.pre(own !== ROUTER);
        const quote = (source: string) => packet(protocol, [source, WORLD], data).subarray(0, 28 + cut);
        assert.deepEqual(
          replaced(error(own, quote(own), type), "destination", to),
          error(to, quote(to), type),
        );
      },
    ),
  );
});

Deno.test("replaceAddress: leaves half of a quoted checksum unchanged", () => {
  const cutQuote = (source: string) =>
    ipv4({ source, destination: WORLD, protocol: TCP }, pattern(40)).subarray(0, 37);
  assert.deepEqual(
    replaced(error(EXIT, cutQuote(EXIT)), "destination", CLIENT),
    error(CLIENT, cutQuote(CLIENT)),
  );
});

Deno.test("replaceAddress: replaces the destination in the quote of an outward error", () => {
  const quote = (destination: string) => packet(UDP, [WORLD, destination], pattern(20));
  const report = (source: string) =>
    ipv4({ source, destination: WORLD }, echo({ type: 3, code: 3, id: 0, sequence: 0, data: quote(source) }));
  assert.deepEqual(replaced(report(CLIENT), "source", "0.0.0.0"), report("0.0.0.0"));
});

Deno.test("replaceAddress: restores every byte after blanking", () => {
  fc.assert(fc.property(anyProtocol, anyIp, anyData, (protocol, client, data) => {
    const [buffer, ip] = [poisoned(packet(protocol, [client, WORLD], data)), new Ipv4View()];
    const before = buffer.copy();
    assert.equal(ip.wrap(buffer), undefined);
    replaceAddress(buffer, ip, "source", UNSPECIFIED);
    replaceAddress(buffer, ip, "source", address(client));
    assert.deepEqual(buffer.copy(), before);
  }));
});

Deno.test("replaceAddress: leaves UDP's checksum 0, also in a quote", () => {
  const none = (ends: readonly [string, string]) => packet(UDP, ends, pattern(9), 0);
  assert.deepEqual(replaced(none([CLIENT, WORLD]), "source", EXIT), none([EXIT, WORLD]));
  const quoting = (own: string) => error(own, none([own, WORLD]));
  assert.deepEqual(replaced(quoting(EXIT), "destination", CLIENT), quoting(CLIENT));
});

Deno.test("replaceAddress: updates the transport checksum of first fragments only", () => {
  const data = pattern(60);
  for (const protocol of [TCP, UDP]) {
    const cut = (source: string) =>
      cutPlainly({ source, destination: WORLD, protocol }, segment(protocol, [source, WORLD], data), 24);
    assert.deepEqual(cut(CLIENT).map((fragment) => replaced(fragment, "source", EXIT)), cut(EXIT));
  }
});

Deno.test("replaceAddress: leaves cut headers and other protocols unchanged", () => {
  const cases: [protocol: number, payload: Uint8Array][] = [
    [TCP, hex("9c43 01bb 12345678 00000000 5002 faf0 12")],
    [UDP, hex("9c40 0035 000d 84")],
    [UDP, hex("")],
    [47, pattern(30)], // GRE
    [132, pattern(30)], // SCTP: its checksum covers no address (RFC 9260 §6.8)
    [1, hex("")],
    [1, hex("0b00 f4ff 0000")],
  ];
  for (const [protocol, payload] of cases) {
    const made = (source: string) => ipv4({ source, destination: WORLD, protocol }, payload);
    assert.deepEqual(replaced(made(CLIENT), "source", EXIT), made(EXIT), `protocol ${protocol}`);
  }
});

Deno.test("replaceAddress: leaves an echo reply's message unchanged", () => {
  const message = echo({ type: 0, data: pattern(56) });
  for (const destination of [EXIT, "0.0.0.0", "255.255.255.255"]) {
    const made = (destination: string) => ipv4({ source: WORLD, destination, id: 9, ttl: 50 }, message);
    assert.deepEqual(replaced(made(destination), "destination", CLIENT), made(CLIENT));
  }
});

Deno.test("replaceAddress: leaves a quote of another host's packet unchanged", () => {
  const cases: [what: string, data: Uint8Array][] = [
    ["another host's packet", ipv4({ source: "192.0.2.1", destination: EXIT }, echo())],
    ["too little of a packet", ipv4({ source: EXIT }, echo()).subarray(0, 27)],
    ["no packet", pattern(40)],
    ["a later fragment", ipv4({ source: EXIT, offset: 8 }, echo())],
  ];
  for (const [what, data] of cases) {
    assert.deepEqual(replaced(error(EXIT, data), "destination", CLIENT), error(CLIENT, data), what);
  }
  // A reply and the second fragment of an error quote nothing.
  const quote = ipv4({ source: EXIT }, echo());
  for (const [type, offset] of [[0, 0], [11, 8]] as const) {
    const made = (destination: string) => ipv4({ destination, offset }, echo({ type, data: quote }));
    assert.deepEqual(replaced(made(EXIT), "destination", CLIENT), made(CLIENT));
  }
});

Deno.test("replaceAddress: restores every byte of an error after replacing twice", () => {
  const anyBits = fc.integer({ min: 0, max: 0xffff_ffff }).map(addressFromBits);
  fc.assert(fc.property(anyIp, anyBits, fc.nat(100), (own, other: IpAddress, length) => {
    const answer = error(own, ipv4({ source: own, ttl: 1 }, echo({ data: pattern(length) })));
    const [buffer, ip] = [poisoned(answer), new Ipv4View()];
    assert.equal(ip.wrap(buffer), undefined);
    replaceAddress(buffer, ip, "destination", other);
    assert.equal(plainSum(readIpv4(buffer.copy()).payload), 0xffff);
    replaceAddress(buffer, ip, "destination", address(own));
    assert.deepEqual(buffer.copy(), answer);
  }));
});
