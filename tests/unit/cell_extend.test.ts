import assert from "node:assert/strict";
import fc from "fast-check";
import { readExtend, writeExtend } from "../../src/cell/extend.ts";
import { address, assertPoisonOutside, concat, hex, pattern, poisoned } from "../support/packets.ts";
import { addressFromBits, UNSPECIFIED } from "../../src/ip/address.ts";

const TO = { address: address("127.0.0.1"), port: 40_002 };

Deno.test("extend: writes address and port in network order, then the handshake", () => {
  const cases: [to: typeof TO, handshake: string, body: string][] = [
    [TO, "", "7f000001 9c42"],
    [TO, "c0ffee", "7f000001 9c42 c0ffee"],
    [{ address: UNSPECIFIED, port: 1 }, "", "00000000 0001"],
    [{ address: address("255.255.255.255"), port: 0xffff }, "00", "ffffffff ffff 00"],
  ];
  for (const [to, handshake, body] of cases) {
    const buffer = poisoned();
    writeExtend(buffer, to, hex(handshake));
    assert.deepEqual(buffer.copy(), hex(body));
  }
});

Deno.test("extend: reads what it has written, and leaves the handshake", () => {
  const anyTo = fc.record({
    address: fc.integer({ min: 0, max: 0xffff_ffff }).map(addressFromBits),
    port: fc.integer({ min: 1, max: 0xffff }),
  }, { noNullPrototype: true });
  fc.assert(fc.property(anyTo, fc.nat(200), (to, length) => {
    const handshake = pattern(length);
    const buffer = poisoned(new Uint8Array(), 300);
    writeExtend(buffer, to, handshake);
    assert.equal(buffer.length, 6 + length);
    assertPoisonOutside(buffer, buffer.start, buffer.end);
    assert.deepEqual(readExtend(buffer), to);
    assert.deepEqual(buffer.copy(), handshake);
  }));
});

Deno.test("extend: rejects each truncated body, and leaves it unchanged", () => {
  const body = hex("7f000001 9c42");
  for (let length = 0; length < body.length; length++) {
    const buffer = poisoned(body.subarray(0, length));
    assert.equal(readExtend(buffer), undefined, `${length} bytes`);
    assert.deepEqual(buffer.copy(), body.subarray(0, length));
  }
  assert.deepEqual(readExtend(poisoned(body)), TO);
});

Deno.test("extend: rejects port 0", () => {
  assert.equal(readExtend(poisoned(concat(hex("7f000001 0000"), pattern(48)))), undefined);
});
