import assert from "node:assert/strict";
import fc from "fast-check";
import { HEADROOM, MAX_PACKET, PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { Layer, LAYER_OVERHEAD } from "../../src/crypto/layer.ts";
import { KEY, TAG } from "../../src/crypto/provider.ts";
import { REPLAY_WINDOW } from "../../src/crypto/replay_window.ts";
import { flip, PROVIDER, testEach } from "../support/crypto.ts";
import { assertPoisonOutside, concat, hex, pattern, poisoned } from "../support/packets.ts";
import { nonceOf, sealPlainly } from "../support/plain_aead.ts";

const [OUT, BACK] = [0x61, 0x64];
const [FORTH_KEY, BACK_KEY] = [pattern(KEY, 1), pattern(KEY, 2)];
const BODY = hex("45000014 beef");

/** The ends of a layer: that of the proxy, and that of the hop. */
function ends(provider = PROVIDER, forth = FORTH_KEY, back = BACK_KEY): [proxy: Layer, hop: Layer] {
  return [
    new Layer(provider, { send: forth, receive: back }),
    new Layer(provider, { send: back, receive: forth }),
  ];
}

/** The sealed body, as it travels. */
function sealed(layer: Layer, body: Uint8Array = BODY, type = OUT): Uint8Array<ArrayBuffer> {
  const buffer = poisoned(body, body.length + 64);
  assert.equal(layer.seal(buffer, type), true);
  return buffer.copy();
}

/** The contents, or why they cannot be read. */
function peeled(layer: Layer, bytes: Uint8Array, type = OUT): Uint8Array | string {
  const buffer = poisoned(bytes, bytes.length + 64);
  const { start, end } = buffer;
  const fault = layer.peel(buffer, type);
  if (fault === undefined) return buffer.copy();
  assert.deepEqual([buffer.start, buffer.end], [start, end], "a fault does not move the buffer");
  return fault;
}

testEach("layer: adds counter, ciphertext and tag like the plain reference", (provider) => {
  const [proxy] = ends(provider);
  for (let counter = 0; counter < 300; counter++) {
    const bytes = sealed(proxy);
    assert.deepEqual(
      bytes,
      concat(nonceOf(counter).subarray(4), sealPlainly(FORTH_KEY, nonceOf(counter), hex("61000000"), BODY)),
    );
  }
  assert.equal(proxy.sent, 300);
});

testEach("layer: seals and peels in place, and touches no other byte", (provider) => {
  const [proxy, hop] = ends(provider);
  fc.assert(fc.property(fc.nat(1500), fc.constantFrom(OUT, BACK), (length, type) => {
    const packet = pattern(length);
    const buffer = poisoned(packet, 1500 + LAYER_OVERHEAD);
    const { start, end } = buffer;
    assert.equal(proxy.seal(buffer, type), true);
    assert.deepEqual([buffer.start, buffer.end], [start - 8, end + TAG]);
    assert.equal(buffer.length, length + LAYER_OVERHEAD);
    assertPoisonOutside(buffer, buffer.start, buffer.end);
    assert.equal(hop.peel(buffer, type), undefined);
    assert.deepEqual([buffer.start, buffer.end], [start, end]);
    assert.deepEqual(buffer.copy(), packet);
  }));
});

Deno.test("layer: works in both directions by turns", () => {
  const [proxy, hop] = ends();
  for (let turn = 0; turn < 3; turn++) {
    assert.deepEqual(peeled(hop, sealed(proxy)), BODY);
    assert.deepEqual(peeled(proxy, sealed(hop, BODY, BACK), BACK), BODY);
  }
  assert.deepEqual([proxy.sent, hop.sent], [3, 3]);
});

testEach("layer: detects every flipped bit of a short cell", (provider) => {
  const [proxy, hop] = ends(provider);
  const bytes = sealed(proxy);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    assert.equal(peeled(hop, flip(bytes, bit)), "forged", `bit ${bit}`);
  }
  assert.deepEqual(peeled(hop, bytes), BODY, "no forgery moved the window");
});

Deno.test("layer: refuses each truncation", () => {
  const [proxy, hop] = ends();
  const bytes = sealed(proxy);
  for (let length = 0; length < bytes.length; length++) {
    const want = length < LAYER_OVERHEAD ? "truncated" : "forged";
    assert.equal(peeled(hop, bytes.subarray(0, length)), want, `${length} bytes`);
  }
  assert.equal(peeled(hop, concat(bytes, hex("00"))), "forged");
  assert.deepEqual(peeled(hop, bytes), BODY);
});

Deno.test("layer: seals an empty body", () => {
  const [proxy, hop] = ends();
  const bytes = sealed(proxy, hex(""));
  assert.equal(bytes.length, LAYER_OVERHEAD);
  assert.deepEqual(peeled(hop, bytes), hex(""));
});

Deno.test("layer: refuses a repeated cell, and one that is too old", () => {
  const [proxy, hop] = ends();
  const [first, second, third] = [sealed(proxy), sealed(proxy), sealed(proxy)];
  assert.deepEqual(peeled(hop, third), BODY);
  assert.deepEqual(peeled(hop, first), BODY, "late, but new");
  assert.equal(peeled(hop, first), "replayed");
  assert.equal(peeled(hop, third), "replayed");
  for (let count = 0; count < REPLAY_WINDOW; count++) assert.deepEqual(peeled(hop, sealed(proxy)), BODY);
  assert.equal(peeled(hop, second), "replayed", "new, but outside the window");
});

Deno.test("layer: does not move the window for a forged counter", () => {
  const [proxy, hop] = ends();
  const bytes = sealed(proxy);
  for (const counter of ["0010000000000000", "ffffffff00000000", "0000000000000100", "ffffffffffffffff"]) {
    assert.equal(peeled(hop, concat(hex(counter), bytes.subarray(8))), "forged", counter);
  }
  assert.deepEqual(peeled(hop, bytes), BODY);
});

Deno.test("layer: refuses its own cell, because each direction has its key", () => {
  const [proxy, hop] = ends();
  assert.equal(peeled(proxy, sealed(proxy)), "forged");
  assert.equal(peeled(hop, sealed(hop)), "forged");
});

Deno.test("layer: refuses another type, and the cell of another circuit", () => {
  const [proxy, hop] = ends();
  const bytes = sealed(proxy);
  for (let type = 0; type < 256; type++) {
    if (type !== OUT) assert.equal(peeled(hop, bytes, type), "forged", `type ${type}`);
  }
  assert.equal(peeled(ends(PROVIDER, pattern(KEY, 3))[1], bytes), "forged");
  assert.deepEqual(peeled(hop, bytes), BODY);
});

testEach("layer: nests five deep, peeled hop by hop", (provider) => {
  const path = Array.from(
    { length: 5 },
    (_, hop) => ends(provider, pattern(KEY, hop), pattern(KEY, 100 + hop)),
  );
  const packet = pattern(1400);
  const buffer = poisoned(packet, 1600);
  const { start, end } = buffer;
  for (const [proxy] of path.toReversed()) assert.equal(proxy.seal(buffer, OUT), true);
  assert.equal(buffer.length, packet.length + 5 * LAYER_OVERHEAD);
  assertPoisonOutside(buffer, buffer.start, buffer.end);
  for (const [index, [, hop]] of path.entries()) {
    assert.equal(path[(index + 1) % 5]![1].peel(buffer, OUT), "forged", "only the next hop can peel it");
    // A refused cell is garbage afterwards, so each hop gets a fresh copy.
    buffer.load(packet);
    for (const [proxy] of path.slice(index).toReversed()) proxy.seal(buffer, OUT);
    assert.equal(hop.peel(buffer, OUT), undefined);
  }
  assert.deepEqual([buffer.start, buffer.end], [start, end]);
  assert.deepEqual(buffer.copy(), packet);

  // Homeward, each hop adds its layer.
  for (const [, hop] of path.toReversed()) assert.equal(hop.seal(buffer, BACK), true);
  for (const [proxy] of path) assert.equal(proxy.peel(buffer, BACK), undefined);
  assert.deepEqual(buffer.copy(), packet);
});

Deno.test("layer: refuses a buffer without room, and uses no counter", () => {
  const [proxy, hop] = ends();
  const buffer = new PacketBuffer();
  const longest = MAX_PACKET - TAG;
  buffer.load(pattern(longest));
  assert.equal(proxy.seal(buffer, OUT), true);
  assert.equal(hop.peel(buffer, OUT), undefined);
  assert.deepEqual(buffer.copy(), pattern(longest));

  const places: [start: number, end: number][] = [[HEADROOM, HEADROOM + longest + 1], [7, 20], [0, 0]];
  for (const [start, end] of places) {
    [buffer.start, buffer.end] = [start, end];
    const before = buffer.bytes.slice();
    assert.throws(() => proxy.seal(buffer, OUT), RangeError);
    assert.deepEqual([buffer.start, buffer.end], [start, end]);
    assert.deepEqual(buffer.bytes, before);
  }
  assert.equal(proxy.sent, 1);
  [buffer.start, buffer.end] = [8, 20];
  assert.equal(proxy.seal(buffer, OUT), true);
  assert.equal(buffer.start, 0);
});

Deno.test("layer: leaves the buffer alone at its limit, and still peels", () => {
  const [, hop] = ends();
  const proxy = new Layer(PROVIDER, { send: FORTH_KEY, receive: BACK_KEY }, 2);
  for (let count = 0; count < 2; count++) assert.deepEqual(peeled(hop, sealed(proxy)), BODY);
  const buffer = poisoned(BODY, 64);
  const [before, { start, end }] = [buffer.bytes.slice(), buffer];
  assert.equal(proxy.seal(buffer, OUT), false);
  assert.deepEqual([buffer.start, buffer.end], [start, end]);
  assert.deepEqual(buffer.bytes, before);
  assert.equal(proxy.sent, 2);
  assert.deepEqual(peeled(proxy, sealed(hop)), BODY);
});

Deno.test("layer: neither seals nor peels once disposed of", () => {
  const [proxy, hop] = ends();
  const bytes = sealed(proxy);
  for (const layer of [proxy, hop]) layer[Symbol.dispose]();
  assert.throws(() => sealed(proxy), /wiped/);
  assert.throws(() => peeled(hop, bytes), /wiped/);
  assert.deepEqual(FORTH_KEY, pattern(KEY, 1), "the caller's keys are unchanged");
});
