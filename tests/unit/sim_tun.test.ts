import assert from "node:assert/strict";
import { MemoryTun } from "../../src/sim/tun.ts";
import { hex, poisoned } from "../support/packets.ts";

Deno.test("what the host sends comes out in order, as it was when it was sent", () => {
  const tun = new MemoryTun();
  const packet = hex("01");
  tun.inject(packet);
  packet[0] = 9;
  tun.inject(hex("0202"));
  const into = poisoned();
  assert.equal(tun.receive(into), true);
  assert.deepEqual(into.copy(), hex("01"));
  assert.equal(tun.receive(into), true);
  assert.deepEqual(into.copy(), hex("0202"));
  assert.equal(tun.receive(into), false);
});

Deno.test("what the host gets is handed over once, in order, as it was when it was written", () => {
  const tun = new MemoryTun();
  const buffer = poisoned(hex("01"));
  assert.equal(tun.send(buffer), true);
  buffer.load(hex("0202"));
  tun.send(buffer);
  buffer.bytes.fill(0);
  assert.deepEqual(tun.take(), [hex("01"), hex("0202")]);
  assert.deepEqual(tun.take(), []);
});
