import assert from "node:assert/strict";
import fc from "fast-check";
import { readExtend, writeExtend } from "../../src/cell/extend.ts";
import { address, assertPoisonOutside, concat, hex, pattern, poisoned } from "../support/packets.ts";
import { addressFromBits, UNSPECIFIED } from "../../src/ip/address.ts";

const TO = { address: address("127.0.0.1"), port: 40_002 };

Deno.test("golden: address and port in network order, and the handshake behind them", () => {
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

Deno.test("what is written is read, with not a byte touched outside, and the handshake is left", () => {
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

Deno.test("each truncation of address and port is no extension, and is left as it was", () => {
  const body = hex("7f000001 9c42");
  for (let length = 0; length < body.length; length++) {
    const buffer = poisoned(body.subarray(0, length));
    assert.equal(readExtend(buffer), undefined, `${length} bytes`);
    assert.deepEqual(buffer.copy(), body.subarray(0, length));
  }
  assert.deepEqual(readExtend(poisoned(body)), TO);
});

Deno.test("the port zero is nobody's", () => {
  assert.equal(readExtend(poisoned(concat(hex("7f000001 0000"), pattern(48)))), undefined);
});
