import assert from "node:assert/strict";
import { WaitingRoom } from "../../src/circuit/origin/waiting.ts";
import { hex, pattern, poisoned } from "../support/packets.ts";
import { addressFromBits } from "../../src/ip/address.ts";

const [ALICE, BOB] = [0x0a00_020f, 0x0a00_0210];

Deno.test("what has waited comes out in order, for each client by itself, and once", () => {
  const room = new WaitingRoom();
  for (const [client, bytes] of [[ALICE, "01"], [BOB, "02"], [ALICE, "03"], [ALICE, ""]] as const) {
    assert.equal(room.add(addressFromBits(client), poisoned(hex(bytes))), true);
  }
  assert.deepEqual(room.take(addressFromBits(ALICE)), [hex("01"), hex("03"), hex("")]);
  assert.deepEqual(room.take(addressFromBits(ALICE)), []);
  assert.deepEqual(room.take(addressFromBits(BOB)), [hex("02")]);
  assert.deepEqual(room.take(addressFromBits(0)), [], "somebody who was never here");
});

Deno.test("a packet waits as a copy: its buffer is used again", () => {
  const room = new WaitingRoom();
  const buffer = poisoned(hex("01 02"));
  room.add(addressFromBits(ALICE), buffer);
  buffer.bytes.fill(0xff);
  assert.deepEqual(room.take(addressFromBits(ALICE)), [hex("01 02")]);
});

Deno.test("256 packets may wait, whoever's they are; who leaves makes room", () => {
  const room = new WaitingRoom();
  for (let packet = 0; packet < 256; packet++) {
    assert.equal(room.add(addressFromBits(packet % 2 === 0 ? ALICE : BOB), poisoned(hex("00"), 1)), true);
  }
  assert.equal(room.add(addressFromBits(ALICE), poisoned(hex("00"))), false);
  assert.equal(
    room.add(addressFromBits(0x0a00_0211), poisoned(hex(""))),
    false,
    "nor an empty one, nor a third client's",
  );
  assert.equal(room.take(addressFromBits(BOB)).length, 128);
  for (let packet = 0; packet < 128; packet++) {
    assert.equal(room.add(addressFromBits(ALICE), poisoned(hex("00"), 1)), true);
  }
  assert.equal(room.add(addressFromBits(ALICE), poisoned(hex("00"))), false);
});

Deno.test("1 MiB may wait, to the byte", () => {
  const room = new WaitingRoom();
  for (let packet = 0; packet < 16; packet++) {
    assert.equal(room.add(addressFromBits(ALICE), poisoned(pattern(65_535))), true);
  }
  assert.equal(room.add(addressFromBits(BOB), poisoned(pattern(17))), false);
  assert.equal(room.add(addressFromBits(BOB), poisoned(pattern(16))), true);
  assert.equal(room.add(addressFromBits(BOB), poisoned(pattern(1))), false);
  assert.equal(room.take(addressFromBits(ALICE)).length, 16);
  assert.equal(room.add(addressFromBits(BOB), poisoned(pattern(1))), true);
});
