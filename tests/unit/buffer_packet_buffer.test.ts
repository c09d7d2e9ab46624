import assert from "node:assert/strict";
import { HEADROOM, MAX_PACKET, PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { hex, pattern } from "../support/packets.ts";

Deno.test("packet buffer: starts empty, behind its headroom", () => {
  const buffer = new PacketBuffer();
  assert.equal(buffer.length, 0);
  assert.equal(buffer.start, HEADROOM);
  assert.equal(buffer.bytes.length, HEADROOM + MAX_PACKET);
});

Deno.test("packet buffer: copies out what was loaded, from an empty packet to the longest", () => {
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

Deno.test("packet buffer: refuses a packet that does not fit, and keeps the old one", () => {
  const buffer = new PacketBuffer(4);
  buffer.load(hex("01020304"));
  assert.throws(() => buffer.load(hex("0102030405")), RangeError);
  assert.deepEqual(buffer.copy(), hex("01020304"));
});

Deno.test("packet buffer: shares one storage between bytes and view", () => {
  const buffer = new PacketBuffer(4);
  buffer.load(hex("01020304"));
  buffer.view.setUint16(buffer.start + 1, 0xbeef);
  assert.deepEqual(buffer.copy(), hex("01beef04"));
});

Deno.test("packet buffer: from() starts at any offset, and makes common arrays once", () => {
  const buffer = new PacketBuffer(256);
  buffer.load(pattern(256));
  for (let offset = 0; offset <= buffer.bytes.length; offset++) {
    const tail = buffer.from(offset);
    assert.equal(tail.buffer, buffer.bytes.buffer);
    assert.equal(tail.byteOffset, offset);
    assert.equal(tail.length, buffer.bytes.length - offset);
  }
  // Common starts: the headroom's end, one cell header before it, and after removed headers.
  for (const offset of [HEADROOM, HEADROOM - 8, HEADROOM + 8, HEADROOM + 48]) {
    assert.equal(buffer.from(offset), buffer.from(offset));
  }
});
