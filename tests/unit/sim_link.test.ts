import assert from "node:assert/strict";
import { MAX_PACKET } from "../../src/buffer/packet_buffer.ts";
import { NOTHING, STRANGER } from "../../src/device/link.ts";
import { MemoryMedium } from "../../src/sim/link.ts";
import { hex, pattern, poisoned } from "../support/packets.ts";

/*
 *   link 1 ──► neighbour 0: link 3
 *   link 2 ──► neighbour 0: link 3
 *   link 3 ──► neighbour 0: link 1, neighbour 1: link 2
 */
function makeLinks() {
  const medium = new MemoryMedium();
  const [first, second, third] = [medium.link(1), medium.link(2), medium.link(3)];
  first.addNeighbour(3);
  second.addNeighbour(3);
  assert.deepEqual([third.addNeighbour(1), third.addNeighbour(2)], [0, 1]);
  return { medium, first, second, third };
}

Deno.test("memory link: delivers in order and tells the neighbour", () => {
  const { first, second, third } = makeLinks();
  first.send(0, poisoned(hex("01")));
  second.send(0, poisoned(hex("0202")));
  first.send(0, poisoned(hex("")));
  const into = poisoned();
  assert.equal(third.receive(into), 0);
  assert.deepEqual(into.copy(), hex("01"));
  assert.equal(third.receive(into), 1);
  assert.deepEqual(into.copy(), hex("0202"));
  assert.equal(third.receive(into), 0);
  assert.deepEqual(into.copy(), hex(""));
  assert.equal(third.receive(into), NOTHING);
});

Deno.test("memory link: copies what is sent", () => {
  const { first, third } = makeLinks();
  const buffer = poisoned(hex("0102"));
  assert.equal(first.send(0, buffer), true);
  buffer.bytes.fill(0);
  const into = poisoned();
  third.receive(into);
  assert.deepEqual(into.copy(), hex("0102"));
});

Deno.test("memory link: carries the longest datagram from any offset", () => {
  const { first, third } = makeLinks();
  const buffer = poisoned(pattern(MAX_PACKET - 8));
  buffer.start -= 8;
  first.send(0, buffer);
  const into = poisoned();
  third.receive(into);
  assert.deepEqual(into.copy(), buffer.copy());
});

Deno.test("memory link: reports strangers", () => {
  const { medium, third } = makeLinks();
  medium.carry(99, 3, hex("ff"));
  assert.equal(third.receive(poisoned()), STRANGER);
});

Deno.test("memory link: loses a datagram to an unknown port", () => {
  const { medium } = makeLinks();
  medium.carry(1, 99, hex("ff"));
});

Deno.test("memory medium: tamper sees sender and receiver, and changes what arrives", () => {
  const { medium, first, second, third } = makeLinks();
  const into = poisoned();
  const seen: string[] = [];
  medium.tamper = (from, to, bytes) => {
    seen.push(`${from} to ${to}: ${bytes.toHex()}`);
    return from === 1 ? [hex("aa"), bytes] : [];
  };
  first.send(0, poisoned(hex("01")));
  second.send(0, poisoned(hex("02")));
  assert.deepEqual(seen, ["1 to 3: 01", "2 to 3: 02"]);
  assert.equal(third.receive(into), 0);
  assert.deepEqual(into.copy(), hex("aa"));
  assert.equal(third.receive(into), 0);
  assert.deepEqual(into.copy(), hex("01"));
  assert.equal(third.receive(into), NOTHING);
});

Deno.test("memory medium: deliver bypasses tamper", () => {
  const { medium, third } = makeLinks();
  medium.tamper = () => assert.fail("tamper was called");
  medium.deliver(1, 3, hex("01"));
  assert.equal(third.receive(poisoned()), 0);
});
