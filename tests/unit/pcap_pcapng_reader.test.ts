import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../src/errors.ts";
import { LinkType } from "../../src/pcap/format.ts";
import { nameBlock, PcapngWriter } from "../../src/pcap/pcapng.ts";
import { type PcapngItem, readPcapng, splitPcapng } from "../../src/pcap/pcapng_reader.ts";
import { address, concat, hex } from "../support/packets.ts";
import { addressFromBits } from "../../src/ip/address.ts";

/** One cell in a datagram, in a file that editcap (Wireshark 4.0.17) wrote from text2pcap's. */
const EDITCAP = hex(`
  0a0d0d0a 6c000000 4d3c2b1a 01000000 ffffffff ffffffff
  04004500 45646974 63617020 28576972 65736861 726b2920 342e302e 3137 2028 4769 7420 7634 2e30
  2e31 3720 7061 636b 6167 6564 2061 7320 342e 302e 3137 2d30 2b64 6562 3132 7533 29000000 00000000
  6c000000
  01000000 14000000 65000000 00000400 14000000
  06000000 68000000 00000000 240a0600 40222018 28000000 28000000
  45000028 12340000 ff11957c 0a090001 0a090002 13881389 001494ce 51000000 00000001 70696e67
  01001800 72656c61 79206461 74612c20 63697263 75697420 30783031 00000000 68000000`);

/** A file with all that our writer leaves out, block by block, by hand from the figures of §4. */
const BY_HAND = [
  // shb_hardware "x", shb_userappl "by hand", and no end of the options.
  hex("0a0d0d0a 30000000 4d3c2b1a 0100 0000 ffffffffffffffff"),
  hex("0200 0100 78000000  0400 0700 62792068616e6400 30000000"),
  // LINKTYPE_USER0; if_MTU 1500, if_name "cells" with a zero and more behind it.
  hex("01000000 2c000000 9300 0000 00000000  0600 0200 dc050000"),
  hex("0200 0800 63656c6c73 00 7878  0000 0000 2c000000"),
  // An Interface Statistics Block, to be skipped.
  hex("05000000 18000000 00000000 00000000 00000000 18000000"),
  // Names: an IPv6 record to be skipped, one address with two names, the end, and ns_dnsname "x"
  // behind it.
  hex("04000000 44000000  0200 1200 20010db8 00000000 00000000 12345678 78000000"),
  hex("0100 0a00 0a090001 616200 636400 0000  0000 0000  0200 0100 78000000  0000 0000 44000000"),
  // 3 bytes of 1500, 2^32 + 1536 µs, epb_flags, and two comments.
  hex("06000000 40000000 00000000 01000000 00060000 03000000 dc050000 51000000"),
  hex("0200 0400 01000000  0100 0300 6f6e6500  0100 0300 74776f00  0000 0000 40000000"),
] as const;

function read(file: Uint8Array): PcapngItem[] {
  return [...readPcapng(file)];
}

/** A block of a little-endian file. */
function block(type: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = concat(new Uint8Array(8), body, new Uint8Array(4));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(bytes.length - 4, bytes.length, true);
  return bytes;
}

const SECTION = block(0x0a0d0d0a, hex("4d3c2b1a 0100 0000 ffffffffffffffff"));
const INTERFACE = block(1, hex("6500 0000 00000000"));

/** The items of a file whose section and interface say nothing but that they are. */
function behind(...blocks: Uint8Array[]): PcapngItem[] {
  return read(concat(SECTION, INTERFACE, ...blocks));
}

Deno.test("pcapng reader: golden file of editcap", () => {
  assert.deepEqual(read(EDITCAP), [
    {
      kind: "packet",
      on: "",
      timestamp: 1_700_000_000_123.456,
      bytes: EDITCAP.subarray(0x9c, 0xc4),
      comments: ["relay data, circuit 0x01"],
    },
  ]);
});

Deno.test("pcapng reader: golden file with everything our writer omits", () => {
  assert.deepEqual(read(concat(...BY_HAND)), [
    { kind: "names", address: address("10.9.0.1"), names: ["ab", "cd"] },
    {
      kind: "packet",
      on: "cells",
      timestamp: (2 ** 32 + 1536) / 1000,
      bytes: hex("510000"),
      comments: ["one", "two"],
    },
  ]);
});

// Any characters but zero, which ends a text.
const anyText = fc.string({ unit: "binary", maxLength: 12 }).map((text) => text.replaceAll("\0", ""));
const anyName = anyText.filter((text) => text.length > 0);
const anyInterface = fc.record({
  linkType: fc.constantFrom(...Object.values(LinkType)),
  name: anyText,
  description: anyText,
});
const anyNames = fc.record({
  address: fc.integer({ min: 0, max: 0xffff_ffff }).map(addressFromBits),
  names: fc.tuple(anyName, fc.array(anyName, { maxLength: 3 })).map(([first, more]) =>
    [first, ...more] as const
  ),
});
const anyPacket = fc.record({
  timestamp: fc.nat(4_000_000_000_000_000).map((microseconds) => microseconds / 1000),
  bytes: fc.uint8Array({ maxLength: 40 }),
  comment: anyText,
  on: fc.nat(2),
});
const anyCapture = fc.record({
  application: anyText,
  interfaces: fc.tuple(anyInterface, anyInterface, anyInterface),
  names: fc.array(anyNames, { maxLength: 3 }),
  packets: fc.array(anyPacket, { maxLength: 4 }),
  later: fc.array(anyNames, { maxLength: 2 }),
});

Deno.test("pcapng reader: round trip with the writer", () => {
  fc.assert(fc.property(anyCapture, ({ application, interfaces, names, packets, later }) => {
    const writer = new PcapngWriter({ application, interfaces, names });
    const file = concat(
      writer.header(),
      ...packets.map((packet) => writer.packet(packet.timestamp, packet.bytes, packet.comment, packet.on)),
      nameBlock(later),
    );
    assert.deepEqual(read(file), [
      ...names.map((item) => ({ kind: "names", ...item })),
      ...packets.map((packet) => ({
        kind: "packet",
        on: interfaces[packet.on]!.name,
        timestamp: packet.timestamp,
        bytes: packet.bytes,
        comments: packet.comment === "" ? [] : [packet.comment],
      })),
      ...later.map((item) => ({ kind: "names", ...item })),
    ]);
  }));
});

/** Where the blocks of a file begin, and its end. */
function boundaries(file: Uint8Array<ArrayBuffer>): number[] {
  const view = new DataView(file.buffer);
  const found = [0];
  for (let at = 0; at < file.length; found.push(at)) at += view.getUint32(at + 4, true);
  return found;
}

Deno.test("pcapng reader: a truncated file is incomplete from the cut block on, never malformed", () => {
  for (const file of [EDITCAP, concat(...BY_HAND)]) {
    const whole = read(file);
    const starts = boundaries(file);
    assert.equal(starts.at(-1), file.length);
    for (let length = 0; length < file.length; length++) {
      const items = read(file.subarray(0, length));
      const offset = starts.findLast((start) => start <= length)!;
      // Between two blocks nothing is missing, but an empty file lacks its section.
      if (offset < length || length === 0) {
        assert.deepEqual(items.pop(), { kind: "incomplete", offset }, `${length} bytes`);
      }
      assert.deepEqual(items, offset === 0 ? [] : read(file.subarray(0, offset)), `${length} bytes`);
      assert.deepEqual(items, whole.slice(0, items.length), `${length} bytes`);
    }
  }
});

Deno.test("pcapng reader: splits a file before its first packet and after its last whole block", () => {
  for (const file of [EDITCAP, concat(...BY_HAND)]) {
    const starts = boundaries(file);
    const first = starts.find((start) => file[start] === 6) ?? assert.fail("no packet");
    for (let length = 0; length <= file.length; length++) {
      const { header, packets } = splitPcapng(file.subarray(0, length));
      const whole = starts.findLast((start) => start <= length)!;
      assert.deepEqual(header, file.subarray(0, Math.min(first, whole)), `${length} bytes`);
      assert.deepEqual(packets, file.subarray(Math.min(first, whole), whole), `${length} bytes`);
    }
  }
});

Deno.test("pcapng reader: reads a view into a larger buffer", () => {
  const larger = concat(hex("a5a5a5"), EDITCAP, hex("a5a5"));
  assert.deepEqual(read(larger.subarray(3, larger.length - 2)), read(EDITCAP));
});

Deno.test("pcapng reader: rejects malformed files and names the fault", () => {
  const cases: [file: Uint8Array, message: string][] = [
    [hex("d4c3b2a1"), "no pcapng file: it does not begin with a section header"],
    [concat(INTERFACE, SECTION), "no pcapng file: it does not begin with a section header"],
    [hex("0a0d0d0a 1c000000 4d3c2b1b"), "malformed pcapng section: no little-endian byte-order magic"],
    [hex("0a0d0d0a 0000001c 1a2b3c4d"), "malformed pcapng section: no little-endian byte-order magic"],
    [
      block(0x0a0d0d0a, hex("4d3c2b1a 0200 0100 ffffffffffffffff")),
      "cannot read pcapng version 2.1, only 1.0",
    ],
    [concat(SECTION, SECTION), "malformed pcapng block at byte 28: a second section"],
    [
      hex("0a0d0d0a 14000000 4d3c2b1a 0100 0000 14000000"),
      "malformed pcapng block at byte 0: no room for its fields",
    ],
    [concat(SECTION, new Uint8Array(12)), "malformed pcapng block at byte 28: a length of 0 bytes"],
    [
      concat(SECTION, hex("01000000 0d000000 00000000")),
      "malformed pcapng block at byte 28: a length of 13 bytes",
    ],
    [
      concat(SECTION, hex("01000000 04000001 00000000")),
      "malformed pcapng block at byte 28: a length of 16777220 bytes",
    ],
    [
      concat(SECTION, hex("01000000 0c000000 10000000")),
      "malformed pcapng block at byte 28: its two lengths differ",
    ],
    [concat(SECTION, block(1, hex("65000000"))), "malformed pcapng block at byte 28: no room for its fields"],
    [
      concat(SECTION, block(1, hex("6500 0000 00000000 0200 0500 74756e31"))),
      "malformed pcapng option at byte 44: it is longer than its block",
    ],
    [concat(SECTION, block(6, new Uint8Array(20))), "malformed pcapng packet at byte 28: no interface 0"],
    [
      concat(SECTION, INTERFACE, block(6, new Uint8Array(16))),
      "malformed pcapng block at byte 48: no room for its fields",
    ],
    [
      concat(SECTION, INTERFACE, block(6, hex("00000000 00000000 00000000 05000000 05000000 01020304"))),
      "malformed pcapng packet at byte 48: it is longer than its block",
    ],
  ];
  for (const [file, message] of cases) assert.throws(() => read(file), new WireError(message));
  for (const record of ["0100 0300 0a090000", "0100 0400 0a090001", "0100 0600 0a090001 61620000"]) {
    assert.throws(
      () => behind(block(4, hex(record))),
      new WireError("malformed pcapng names at byte 60: no name, or no end"),
      record,
    );
  }
});

Deno.test("pcapng reader: replaces invalid UTF-8", () => {
  const [names] = behind(block(4, hex("0100 0700 0a090001 61ff0000  0000 0000")));
  assert.deepEqual(names, { kind: "names", address: address("10.9.0.1"), names: ["a\ufffd"] });
});

Deno.test("pcapng reader: random changes are read or rejected", () => {
  const anyFile = fc.constantFrom(EDITCAP, concat(...BY_HAND));
  const anyChanges = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(anyFile, anyChanges, (file, changes) => {
      const changed = file.slice();
      for (const [at, value] of changes) changed[at % file.length] = value;
      try {
        read(changed);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
