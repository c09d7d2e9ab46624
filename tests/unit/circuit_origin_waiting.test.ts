import assert from "node:assert/strict";
import { WaitingRoom } from "../../src/circuit/origin/waiting.ts";
import { hex, pattern, poisoned } from "../support/packets.ts";
import { addressFromBits } from "../../src/ip/address.ts";

const [ALICE, BOB] = [0x0a00_020f, 0x0a00_0210];

Deno.test("waiting room: returns the packets of each key once, in order", () => {
  const room = new WaitingRoom();
  for (const [client, bytes] of [[ALICE, "01"], [BOB, "02"], [ALICE, "03"], [ALICE, ""]] as const) {
    assert.equal(room.add(addressFromBits(client), poisoned(hex(bytes))), true);
  }
  assert.deepEqual(room.take(addressFromBits(ALICE)), [hex("01"), hex("03"), hex("")]);
  assert.deepEqual(room.take(addressFromBits(ALICE)), []);
  assert.deepEqual(room.take(addressFromBits(BOB)), [hex("02")]);
  assert.deepEqual(room.take(addressFromBits(0)), [], "an unknown key");
});

Deno.test("waiting room: copies packets", () => {
  const room = new WaitingRoom();
  const buffer = poisoned(hex("01 02"));
  room.add(addressFromBits(ALICE), buffer);
  buffer.bytes.fill(0xff);
  assert.deepEqual(room.take(addressFromBits(ALICE)), [hex("01 02")]);
});

Deno.test("waiting room: holds 256 packets of all keys together", () => {
  const room = new WaitingRoom();
  for (let packet = 0; packet < 256; packet++) {
    assert.equal(room.add(addressFromBits(packet % 2 === 0 ? ALICE : BOB), poisoned(hex("00"), 1)), true);
  }
  assert.equal(room.add(addressFromBits(ALICE), poisoned(hex("00"))), false);
  assert.equal(
    room.add(addressFromBits(0x0a00_0211), poisoned(hex(""))),
    false,
    "not even an empty packet, or a third key",
  );
  assert.equal(room.take(addressFromBits(BOB)).length, 128);
  for (let packet = 0; packet < 128; packet++) {
    assert.equal(room.add(addressFromBits(ALICE), poisoned(hex("00"), 1)), true);
  }
  assert.equal(room.add(addressFromBits(ALICE), poisoned(hex("00"))), false);
});

Deno.test("waiting room: holds exactly 1 MiB", () => {
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
