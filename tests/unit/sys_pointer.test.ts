import assert from "node:assert/strict";
import { cStruct, fieldsOf, LastPointer, pointerTo } from "../../src/sys/pointer.ts";

/** Where some bytes lie. */
function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(pointerTo(bytes));
}

Deno.test("structures are zeroed and aligned, lie next to each other, and share no byte", () => {
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

Deno.test("where there is no room for one more structure, the next ones lie elsewhere", () => {
  const structs = Array.from({ length: 100 }, () => cStruct(100));
  structs.forEach((struct, index) => struct.fill(index));
  structs.forEach((struct, index) => assert.ok(struct.every((byte) => byte === index)));
  const large = cStruct(10_000);
  assert.equal(large.length, 10_000);
});

Deno.test("the fields of a structure are those of its own bytes", () => {
  cStruct(16);
  const struct = cStruct(16);
  fieldsOf(struct).setUint32(12, 0x0102_0304);
  assert.deepEqual([...struct.subarray(12)], [1, 2, 3, 4]);
  assert.throws(() => fieldsOf(struct).setUint32(13, 0), RangeError);
});

Deno.test("a pointer is that of the bytes last asked for, wherever they begin", () => {
  const bytes = new Uint8Array(256);
  const pointer = new LastPointer();
  const at = (of: Uint8Array<ArrayBuffer>) => Deno.UnsafePointer.value(pointer.to(of));
  const first = at(bytes);
  assert.equal(at(bytes.subarray(8)), first + 8n);
  assert.equal(at(bytes), first);
});
