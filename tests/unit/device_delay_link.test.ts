import assert from "node:assert/strict";
import { DelayLink } from "../../src/device/delay_link.ts";
import { NOTHING } from "../../src/device/link.ts";
import { MemoryMedium } from "../../src/sim/link.ts";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";

/** The two ends of a link, and a clock. The first end delays what it sends by 20 ms. */
function makeLinks() {
  const medium = new MemoryMedium();
  const [near, far] = [medium.link(1), medium.link(2)];
  near.addNeighbour(2);
  far.addNeighbour(1);
  const clock = { now: 0 };
  const slow = new DelayLink(near, 20, () => clock.now);
  const buffer = new PacketBuffer();
  return {
    clock,
    slow,
    send(...bytes: number[]): boolean {
      buffer.load(Uint8Array.from(bytes));
      const taken = slow.send(0, buffer);
      buffer.bytes.fill(0xa5); // the buffer is free again
      return taken;
    },
    /** What has come to the other end. */
    arrived(): number[][] {
      const all: number[][] = [];
      while (far.receive(buffer) !== NOTHING) all.push([...buffer.copy()]);
      return all;
    },
  };
}

Deno.test("delay link: delivers datagrams unchanged and in order after the delay", () => {
  const { clock, slow, send, arrived } = makeLinks();
  assert.equal(slow.deadline, Infinity);
  send(1);
  clock.now = 5;
  send(2, 2);
  assert.equal(slow.deadline, 20);
  slow.expire(19);
  assert.deepEqual(arrived(), []);
  slow.expire(20);
  assert.deepEqual(arrived(), [[1]]);
  assert.equal(slow.deadline, 25);
  slow.expire(30);
  assert.deepEqual(arrived(), [[2, 2]]);
  assert.equal(slow.deadline, Infinity);
});

Deno.test("delay link: does not delay incoming datagrams", () => {
  const medium = new MemoryMedium();
  const [near, far] = [medium.link(1), medium.link(2)];
  near.addNeighbour(2);
  far.addNeighbour(1);
  const slow = new DelayLink(near, 20, () => 0);
  const buffer = new PacketBuffer();
  buffer.load(Uint8Array.of(7));
  far.send(0, buffer);
  assert.equal(slow.receive(buffer), 0);
  assert.deepEqual([...buffer.copy()], [7]);
});

Deno.test("delay link: refuses datagrams beyond the max under way", () => {
  const { slow, send, arrived } = makeLinks();
  let taken = 0;
  while (send(taken & 0xff)) taken++;
  assert.equal(taken, 16_384);
  slow.expire(20);
  assert.equal(arrived().length, taken);
  assert.ok(send(1), "there is room again");
});
