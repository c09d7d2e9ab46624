import assert from "node:assert/strict";
import { cStruct, fieldsOf, LastPointer, pointerTo } from "../../src/sys/pointer.ts";

/** Reads memory at a pointer. */
function at(pointer: Deno.PointerValue): number {
  return new Deno.UnsafePointerView(pointer!).getUint8();
}

Deno.test("pointer: stays valid for small arrays across garbage collection", () => {
  const arrays = [1, 4, 16, 64, 65, 4096].map((length) => new Uint8Array(length));
  const pointers = arrays.map(pointerTo);
  let garbage: Uint8Array[] = [];
  // Enough for several collections of the young generation, which moves survivors.
  for (let round = 0; round < 300_000; round++) {
    if (round % 1000 === 0) garbage = [];
    garbage.push(new Uint8Array(48));
  }
  arrays.forEach((bytes, index) => {
    bytes[0] = 100 + index;
    assert.equal(at(pointers[index]!), 100 + index);
  });
});

Deno.test("last pointer: follows the array of each call", () => {
  const last = new LastPointer();
  const whole = Uint8Array.of(1, 2, 3);
  const other = Uint8Array.of(4);
  const found = [whole, whole.subarray(1), whole, other, other].map((bytes) => at(last.to(bytes)));
  assert.deepEqual(found, [1, 2, 1, 4, 4]);
});

/** The address of bytes. */
function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(pointerTo(bytes));
}

Deno.test("C structures: are zeroed, aligned, adjacent, and disjoint", () => {
  const structs = [1, 16, 17, 56, 24, 8].map((size) => cStruct(size));
  for (const struct of structs) {
    assert.ok(struct.every((byte) => byte === 0));
    assert.equal(addressOf(struct) % 16n, 0n);
  }
  structs.forEach((struct, index) => struct.fill(index + 1));
  structs.forEach((struct, index) => assert.ok(struct.every((byte) => byte === index + 1)));
  const addresses = structs.map(addressOf);
  const span = addresses.reduce((most, one) => one > most ? one : most) - addresses[0]!;
  assert.ok(span < 4096n);
});

Deno.test("C structures: go to a new block when one is full", () => {
  const structs = Array.from({ length: 100 }, () => cStruct(100));
  structs.forEach((struct, index) => struct.fill(index));
  structs.forEach((struct, index) => assert.ok(struct.every((byte) => byte === index)));
  const large = cStruct(10_000);
  assert.equal(large.length, 10_000);
});

Deno.test("C structures: fields view the structure's own bytes", () => {
  cStruct(16);
  const struct = cStruct(16);
  fieldsOf(struct).setUint32(12, 0x0102_0304);
  assert.deepEqual([...struct.subarray(12)], [1, 2, 3, 4]);
  assert.throws(() => fieldsOf(struct).setUint32(13, 0), RangeError);
});
