import assert from "node:assert/strict";
import fc from "fast-check";
import { checksum, isIntact, updateChecksum } from "../../src/buffer/checksum.ts";
import { concat, hex, plainChecksum, plainSum } from "../support/packets.ts";

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function checksumOf(bytes: Uint8Array): number {
  return checksum(viewOf(bytes), 0, bytes.length);
}

function intact(bytes: Uint8Array): boolean {
  return isIntact(viewOf(bytes), 0, bytes.length);
}

Deno.test("checksum: matches published examples", () => {
  // RFC 1071 §3: the words 0001 f203 f4f5 f6f7 sum up to 2ddf0, which folds to ddf2.
  assert.equal(checksumOf(hex("00 01 f2 03 f4 f5 f6 f7")), 0xffff - 0xddf2);
  // An IPv4 header, UDP from 192.168.0.1 to 192.168.0.199 (Wikipedia, "Internet checksum").
  assert.equal(checksumOf(hex("4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7")), 0xb861);
  assert.ok(intact(hex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7")));
  // The first `ping` of Windows, identifier 1, sequence number 1, and its reply.
  const data = new TextEncoder().encode("abcdefghijklmnopqrstuvwabcdefghi");
  assert.equal(checksumOf(concat(hex("08 00 0000 0001 0001"), data)), 0x4d5a);
  assert.equal(checksumOf(concat(hex("00 00 0000 0001 0001"), data)), 0x555a);
});

Deno.test("checksum: takes a trailing odd byte as the high half of a word (RFC 1071 §4.1)", () => {
  assert.equal(checksumOf(hex("01")), 0xfeff);
  assert.equal(checksumOf(hex("00 01 f2")), checksumOf(hex("00 01 f2 00")));
});

Deno.test("checksum: is ffff only if every byte is zero, which is never intact", () => {
  const cases: [bytes: string, checksum: number, intact: boolean][] = [
    ["", 0xffff, false],
    ["0000", 0xffff, false],
    ["0000 0000 0000", 0xffff, false],
    ["ffff", 0x0000, true],
    ["0000 ffff", 0x0000, true],
    ["ffff ffff", 0x0000, true],
    ["8000 7fff", 0x0000, true],
    ["0001 ffff", 0xfffe, false],
  ];
  for (const [bytes, want, whole] of cases) {
    assert.equal(checksumOf(hex(bytes)), want, bytes);
    assert.equal(intact(hex(bytes)), whole, bytes);
  }
});

Deno.test("checksum: loses no carry in the longest packet", () => {
  for (const length of [65_535, 65_534, 65_520, 65_505]) {
    const bytes = new Uint8Array(length).fill(0xff);
    assert.equal(checksumOf(bytes), plainChecksum(bytes), `${length} bytes`);
  }
});

Deno.test("checksum: agrees with a plain sum for any bytes, and ignores bytes around them", () => {
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 200 }),
    fc.nat(40),
    fc.nat(40),
    fc.nat(255),
    (bytes, before, behind, poison) => {
      const around = concat(
        new Uint8Array(before).fill(poison),
        bytes,
        new Uint8Array(behind).fill(poison),
      );
      assert.equal(checksum(viewOf(around), before, before + bytes.length), plainChecksum(bytes));
      assert.equal(isIntact(viewOf(around), before, before + bytes.length), plainSum(bytes) === 0xffff);
    },
  ));
});

Deno.test("isIntact: accepts bytes with their checksum, and rejects any flipped bit", () => {
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 4, maxLength: 64 }),
    fc.nat(),
    (bytes, anywhere) => {
      bytes.set([0, 0], 2);
      viewOf(bytes).setUint16(2, checksumOf(bytes));
      assert.ok(intact(bytes));
      const bit = anywhere % (bytes.length * 8);
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
      assert.ok(!intact(bytes));
    },
  ));
});

Deno.test("updateChecksum: gives the result of RFC 1624 §4, where older equations fail", () => {
  // HC = dd2f, m = 5555, m' = 3285; the rest of the header sums up to cd7a.
  assert.equal(updateChecksum(0xdd2f, 0x5555, 0x3285), 0x0000);
  assert.equal(checksumOf(hex("cd7a 3285")), 0x0000);
  // Erratum 4782: an unchanged word leaves a checksum of zero alone.
  assert.equal(updateChecksum(0x0000, 0x5555, 0x5555), 0x0000);
});

Deno.test("updateChecksum: agrees with a new computation", () => {
  const corner = fc.constantFrom(0x0000, 0x0001, 0x7fff, 0x8000, 0xfffe, 0xffff);
  const word = fc.oneof(corner, fc.nat(0xffff));
  fc.assert(
    fc.property(word, word, fc.array(word, { minLength: 1, maxLength: 4 }), (before, after, rest) => {
      // RFC 1624 §3 assumes another word that is not zero, as in every IPv4 header.
      fc.pre(rest.some((other) => other !== 0));
      const sumOf = (word: number) =>
        plainChecksum(Uint8Array.from([word, ...rest].flatMap((word) => [word >>> 8, word & 0xff])));
      assert.equal(updateChecksum(sumOf(before), before, after), sumOf(after));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("updateChecksum: gives the wrong zero if only zeros are left", () => {
  // The checksum of 0800 alone is f7ff. That of 0000 is ffff, but the update gives 0000.
  assert.equal(updateChecksum(0xf7ff, 0x0800, 0x0000), 0x0000);
  assert.equal(checksumOf(hex("0000")), 0xffff);
});
