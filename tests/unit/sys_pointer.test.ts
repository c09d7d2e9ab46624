import assert from "node:assert/strict";
import { LastPointer, pointerTo } from "../../src/sys/pointer.ts";

/** What stands at an address. */
function at(pointer: Deno.PointerValue): number {
  return new Deno.UnsafePointerView(pointer!).getUint8();
}

Deno.test("bytes stay where a pointer says, however small they are and whatever is collected meanwhile", () => {
  const arrays = [1, 4, 16, 64, 65, 4096].map((length) => new Uint8Array(length));
  const pointers = arrays.map(pointerTo);
  let garbage: Uint8Array[] = [];
  // Enough for several collections of the young generation, which moves what survives.
  for (let round = 0; round < 300_000; round++) {
    if (round % 1000 === 0) garbage = [];
    garbage.push(new Uint8Array(48));
  }
  arrays.forEach((bytes, index) => {
    bytes[0] = 100 + index;
    assert.equal(at(pointers[index]!), 100 + index);
  });
});

Deno.test("the last pointer follows from array to array, and to their beginnings", () => {
  const last = new LastPointer();
  const whole = Uint8Array.of(1, 2, 3);
  const other = Uint8Array.of(4);
  const found = [whole, whole.subarray(1), whole, other, other].map((bytes) => at(last.to(bytes)));
  assert.deepEqual(found, [1, 2, 1, 4, 4]);
});
