import assert from "node:assert/strict";
import { HEADROOM, MAX_PACKET, PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { hex, pattern } from "../support/packets.ts";

Deno.test("a new buffer is empty and has its headroom in front", () => {
  const buffer = new PacketBuffer();
  assert.equal(buffer.length, 0);
  assert.equal(buffer.start, HEADROOM);
  assert.equal(buffer.bytes.length, HEADROOM + MAX_PACKET);
});

Deno.test("what is loaded comes out as a copy, be it the longest packet or none", () => {
  const buffer = new PacketBuffer();
  for (const length of [0, 1, 1500, MAX_PACKET]) {
    const packet = pattern(length);
    buffer.load(packet);
    assert.equal(buffer.length, length);
    const copy = buffer.copy();
    buffer.bytes.fill(0);
    assert.deepEqual(copy, packet);
  }
});

Deno.test("a packet that does not fit is refused, not cut", () => {
  const buffer = new PacketBuffer(4);
  buffer.load(hex("01020304"));
  assert.throws(() => buffer.load(hex("0102030405")), RangeError);
  assert.deepEqual(buffer.copy(), hex("01020304"));
});

Deno.test("view and bytes are the same storage", () => {
  const buffer = new PacketBuffer(4);
  buffer.load(hex("01020304"));
  buffer.view.setUint16(buffer.start + 1, 0xbeef);
  assert.deepEqual(buffer.copy(), hex("01beef04"));
});

Deno.test("from: the storage from any offset on, made once for the usual ones", () => {
  const buffer = new PacketBuffer(256);
  buffer.load(pattern(256));
  for (let offset = 0; offset <= buffer.bytes.length; offset++) {
    const tail = buffer.from(offset);
    assert.equal(tail.buffer, buffer.bytes.buffer);
    assert.equal(tail.byteOffset, offset);
    assert.equal(tail.length, buffer.bytes.length - offset);
  }
  // Where a packet begins: behind the headroom, with a cell's header before it, and after one or more were taken off.
  for (const offset of [HEADROOM, HEADROOM - 8, HEADROOM + 8, HEADROOM + 48]) {
    assert.equal(buffer.from(offset), buffer.from(offset));
  }
});
