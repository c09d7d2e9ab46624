import assert from "node:assert/strict";
import { checksum, isIntact, updateChecksum } from "../../src/buffer/checksum.ts";
import { pattern, plainChecksum } from "../../tests/support/packets.ts";
import { SIZES } from "./packets.ts";

for (const size of SIZES) {
  const bytes = pattern(size);
  bytes.set([0, 0], 2);
  const view = new DataView(bytes.buffer);
  const sum = plainChecksum(bytes);
  assert.equal(checksum(view, 0, size), sum);

  const whole = new DataView(bytes.slice().buffer);
  whole.setUint16(2, sum);
  assert.ok(isIntact(whole, 0, size));
  whole.setUint16(2, sum ^ 1);
  assert.ok(!isIntact(whole, 0, size));
  whole.setUint16(2, sum);

  Deno.bench(`checksum, ${size} bytes`, () => {
    if (checksum(view, 0, size) !== sum) throw new Error("a wrong checksum");
  });
  Deno.bench(`isIntact, ${size} bytes`, () => {
    if (!isIntact(whole, 0, size)) throw new Error("a valid checksum was refused");
  });
}

// Replaces one word in a message of 64 bytes: by summing again, and by an update.
const before = pattern(64);
before.set([0, 0], 2);
const after = before.slice();
after.set([0xbe, 0xef], 4);
const [old, want] = [plainChecksum(before), plainChecksum(after)];
const word = new DataView(before.buffer).getUint16(4);
assert.equal(updateChecksum(old, word, 0xbeef), want);

Deno.bench("updateChecksum, one word", () => {
  if (updateChecksum(old, word, 0xbeef) !== want) throw new Error("a wrong checksum");
});
