import assert from "node:assert/strict";
import { MemoryTun } from "../../src/sim/tun.ts";
import { hex, poisoned } from "../support/packets.ts";

Deno.test("memory TUN: copies and queues what the host sends", () => {
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

Deno.test("memory TUN: take returns each written packet once, in order", () => {
  const tun = new MemoryTun();
  const buffer = poisoned(hex("01"));
  assert.equal(tun.send(buffer), true);
  buffer.load(hex("0202"));
  tun.send(buffer);
  buffer.bytes.fill(0);
  assert.deepEqual(tun.take(), [hex("01"), hex("0202")]);
  assert.deepEqual(tun.take(), []);
});
