import assert from "node:assert/strict";
import fc from "fast-check";
import { KEY, TAG } from "../../src/crypto/provider.ts";
import { AVAILABLE, flip, testEach } from "../support/crypto.ts";
import { concat, hex, pattern } from "../support/packets.ts";
import { nonceOf, sealPlainly } from "../support/plain_aead.ts";

const NO_BYTES = hex("");
const MAX_COUNTER = Number.MAX_SAFE_INTEGER;

/** A poisoned buffer with `text` at `start`, and room for a tag and more. */
function place(text: Uint8Array, start: number): Uint8Array<ArrayBuffer> {
  return concat(new Uint8Array(start).fill(0xa5), text, new Uint8Array(TAG + 7).fill(0xa5));
}

Deno.test("plain AEAD: matches the two examples of RFC 8439", () => {
  const sunscreen = new TextEncoder().encode(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  // §2.8.2
  assert.deepEqual(
    sealPlainly(
      hex("808182838485868788898a8b8c8d8e8f 909192939495969798999a9b9c9d9e9f"),
      hex("07000000 4041424344454647"),
      hex("50515253c0c1c2c3c4c5c6c7"),
      sunscreen,
    ),
    hex(`d31a8d34648e60db7b86afbc53ef7ec2 a4aded51296e08fea9e2b5a736ee62d6
         3dbea45e8ca9671282fafb69da92728b 1a71de0a9e060b2905d6a5b67ecd3b36
         92ddbd7f2d778b8c9803aee328091b58 fab324e4fad675945585808b4831d7bc
         3ff4def08e4b7a9de576d26586cec64b 6116
         1ae10b594f09e26a7e902ecbd0600691`),
  );
  // Appendix A.5
  const drafts = new TextEncoder().encode(
    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or " +
      "obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference " +
      "material or to cite them other than as /“work in progress./”",
  );
  assert.deepEqual(
    sealPlainly(
      hex("1c9240a5eb55d38af333888604f6b5f0 473917c1402b80099dca5cbc207075c0"),
      hex("00000000 0102030405060708"),
      hex("f33388860000000000004e91"),
      drafts,
    ),
    hex(`64a0861575861af460f062c79be643bd 5e805cfd345cf389f108670ac76c8cb2
         4c6cfc18755d43eea09ee94e382d26b0 bdb7b73c321b0100d4f03b7f355894cf
         332f830e710b97ce98c8a84abd0b9481 14ad176e008d33bd60f982b1ff37c855
         9797a06ef4f0ef61c186324e2b350638 3606907b6a7c02b0f9f6157b53c867e4
         b9166c767b804d46a59b5216cde7a4e9 9040c5a40433225ee282a1b0a06c523e
         af4534d7f83fa1155b0047718cbc546a 0d072b04b3564eea1b422273f548271a
         0bb2316053fa76991955ebd63159434e cebb4e466dae5a1073a6727627097a10
         49e617d91d361094fa68f0ff77987130 305beaba2eda04df997b714d6c6f2c29
         a6ad5cb4022b02709b
         eead9d67890cbb22392336fea1851f38`),
  );
});

testEach("AEAD: seals like the plain reference, in place, at any offset, and opens it", (provider) => {
  const anyCounter = fc.oneof(
    fc.nat(300),
    fc.maxSafeNat(),
    fc.constantFrom(2 ** 32 - 1, 2 ** 32, MAX_COUNTER),
  );
  const bytesUpTo = (maxLength: number) =>
    fc.uint8Array({ maxLength }) as fc.Arbitrary<Uint8Array<ArrayBuffer>>;
  const anyKey = fc.uint8Array({ minLength: KEY, maxLength: KEY }) as fc.Arbitrary<Uint8Array<ArrayBuffer>>;
  fc.assert(fc.property(
    anyKey,
    anyCounter,
    bytesUpTo(40),
    bytesUpTo(200),
    fc.nat(300),
    (key, counter, additional, text, start) => {
      using aead = provider.aead(key);
      const bytes = place(text, start);
      const end = start + text.length;
      aead.seal(bytes, start, end, counter, additional);
      const sealed = sealPlainly(key, nonceOf(counter), additional, text);
      assert.deepEqual(
        bytes,
        concat(place(sealed, start).subarray(0, end + TAG), new Uint8Array(7).fill(0xa5)),
      );
      assert.equal(aead.open(bytes, start, end + TAG, counter, additional), true);
      assert.deepEqual(bytes.subarray(start, end), text);
    },
  ));
});

Deno.test("AEAD: all providers agree on long packets", () => {
  const key = pattern(KEY, 5);
  for (const length of [1400, 16_000, 65_535]) {
    const sealed = AVAILABLE.map((provider) => {
      using aead = provider.aead(key);
      const bytes = concat(pattern(length), new Uint8Array(TAG));
      aead.seal(bytes, 0, length, 2 ** 40 + 3, hex("61000000"));
      return bytes;
    });
    for (const each of sealed) assert.deepEqual(each, sealed[0]);
  }
});

testEach("AEAD: detects one changed bit of key, counter, additional data, ciphertext or tag", (provider) => {
  const [key, additional, counter] = [pattern(KEY), hex("61000000"), 77];
  const sealed = sealPlainly(key, nonceOf(counter), additional, hex("01020304"));
  const opens = (
    { key: aKey = key, counter: aCounter = counter, additional: anAdditional = additional, bytes = sealed },
  ) => {
    using aead = provider.aead(aKey);
    return aead.open(bytes.slice(), 0, bytes.length, aCounter, anAdditional);
  };
  assert.equal(opens({}), true);
  for (let bit = 0; bit < 8 * KEY; bit++) {
    assert.equal(opens({ key: flip(key, bit) }), false, `key, bit ${bit}`);
  }
  for (let bit = 0; bit < 53; bit++) {
    const other = Number(BigInt(counter) ^ 1n << BigInt(bit));
    assert.equal(opens({ counter: other }), false, `counter, bit ${bit}`);
  }
  for (let bit = 0; bit < 32; bit++) {
    assert.equal(opens({ additional: flip(additional, bit) }), false, `additional data, bit ${bit}`);
  }
  for (let bit = 0; bit < 8 * sealed.length; bit++) {
    assert.equal(opens({ bytes: flip(sealed, bit) }), false, `bit ${bit}`);
  }
  assert.equal(opens({ additional: NO_BYTES }), false);
  assert.equal(opens({ bytes: sealed.slice(1) }), false);
  assert.equal(opens({ bytes: sealed.slice(0, -1) }), false);
});

testEach("AEAD: still works after a forgery, in alternating directions", (provider) => {
  using aead = provider.aead(pattern(KEY));
  for (let counter = 0; counter < 5; counter++) {
    const bytes = place(pattern(9, counter), 3);
    aead.seal(bytes, 3, 12, counter, NO_BYTES);
    assert.equal(aead.open(flip(bytes, 8 * 20), 3, 12 + TAG, counter, NO_BYTES), false);
    assert.equal(aead.open(bytes, 3, 12 + TAG, counter, NO_BYTES), true);
    assert.deepEqual(bytes.subarray(3, 12), pattern(9, counter));
  }
});

testEach("AEAD: keeps two keys apart that are used by turns", (provider) => {
  const keys = [pattern(KEY, 1), pattern(KEY, 2)];
  const aeads = keys.map((key) => provider.aead(key));
  for (let counter = 0; counter < 4; counter++) {
    const [key, aead] = [keys[counter % 2]!, aeads[counter % 2]!];
    const bytes = place(pattern(30), 0);
    aead.seal(bytes, 0, 30, counter, NO_BYTES);
    assert.deepEqual(
      bytes.subarray(0, 30 + TAG),
      sealPlainly(key, nonceOf(counter), NO_BYTES, pattern(30)),
    );
  }
  for (const aead of aeads) aead[Symbol.dispose]();
});

testEach("AEAD: refuses a range outside the array before it writes", (provider) => {
  using aead = provider.aead(pattern(KEY));
  const bytes = pattern(64);
  const before = bytes.slice();
  const ranges: [start: number, end: number][] = [
    [-1, 10],
    [0, 64 - TAG + 1],
    [11, 10],
    [0, NaN],
    [NaN, 10],
    [70, 70],
  ];
  for (const [start, end] of ranges) {
    assert.throws(() => aead.seal(bytes, start, end, 0, NO_BYTES), RangeError, `seal ${start} to ${end}`);
  }
  for (const [start, end] of [[-1, 40], [0, 65], [0, TAG - 1], [NaN, 40]] as const) {
    assert.throws(() => aead.open(bytes, start, end, 0, NO_BYTES), RangeError, `open ${start} to ${end}`);
  }
  for (const counter of [-1, 0.5, 2 ** 53, NaN]) {
    assert.throws(() => aead.seal(bytes, 0, 10, counter, NO_BYTES), RangeError, `counter ${counter}`);
  }
  assert.deepEqual(bytes, before);
});

testEach("AEAD: takes 32-byte keys, and fails once the key is wiped", (provider) => {
  for (const length of [0, KEY - 1, KEY + 1]) assert.throws(() => provider.aead(pattern(length)), RangeError);
  const key = pattern(KEY);
  const aead = provider.aead(key);
  aead[Symbol.dispose]();
  aead[Symbol.dispose]();
  assert.deepEqual(key, pattern(KEY), "the caller wipes its own copy");
  assert.throws(() => aead.seal(pattern(32), 0, 16, 0, NO_BYTES), /wiped/);
  assert.throws(() => aead.open(pattern(32), 0, 32, 0, NO_BYTES), /wiped/);
});

testEach("AEAD: lets the caller change key and bytes between calls", (provider) => {
  const key = pattern(KEY);
  using aead = provider.aead(key);
  key.fill(0);
  const bytes = place(pattern(20), 2);
  aead.seal(bytes, 2, 22, 1, NO_BYTES);
  assert.deepEqual(bytes.subarray(2, 22 + TAG), sealPlainly(pattern(KEY), nonceOf(1), NO_BYTES, pattern(20)));
});
