import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_PACKET } from "../../src/buffer/packet_buffer.ts";
import { CellType } from "../../src/cell/cell.ts";
import { CIRCUIT_KINDS, longestPacket } from "../../src/circuit/kind.ts";
import { OriginCircuit } from "../../src/circuit/origin/origin_circuit.ts";
import { Layer } from "../../src/crypto/layer.ts";
import { KEY } from "../../src/crypto/provider.ts";
import { PROVIDER } from "../support/crypto.ts";
import { assertPoisonOutside, cell, concat, hex, pattern, poisoned } from "../support/packets.ts";
import { nonceOf, sealPlainly } from "../support/plain_aead.ts";
import { addressFromBits } from "../../src/ip/address.ts";

const ID = 0x0a;
const { relaySealed, returnSealed } = CellType;
const BODY = hex("45000014 beef");

/** The keys of a hop, outward and homeward. */
const keysOf = (hop: number) => [pattern(KEY, 10 + hop), pattern(KEY, 20 + hop)] as const;

/** A sealed circuit, and the hops' ends of its layers in order. */
function makeCircuit(hops: number): { circuit: OriginCircuit; ends: Layer[] } {
  const circuit = new OriginCircuit(ID, [2], CIRCUIT_KINDS.sealed, addressFromBits(0x0a00_020f));
  const ends = Array.from({ length: hops }, (_, hop) => {
    const [out, home] = keysOf(hop);
    circuit.addLayer(new Layer(PROVIDER, { send: out, receive: home }));
    return new Layer(PROVIDER, { send: home, receive: out });
  });
  return { circuit, ends };
}

/** One layer by the plain reference: counter, ciphertext and tag. */
function layerPlainly(key: Uint8Array, counter: number, type: number, body: Uint8Array): Uint8Array {
  const nonce = nonceOf(counter);
  return concat(nonce.subarray(4), sealPlainly(key, nonce, Uint8Array.of(type, 0, 0, 0), body));
}

Deno.test("origin circuit: seals the last hop's layer first, and adds the cell header last", () => {
  const { circuit } = makeCircuit(3);
  for (const counter of [0, 1]) {
    const buffer = poisoned(BODY);
    assert.equal(circuit.seal(buffer, relaySealed), true);
    const onion = [2, 1, 0].reduce((body: Uint8Array, hop) => {
      return layerPlainly(keysOf(hop)[0], counter, relaySealed, body);
    }, BODY);
    assert.deepEqual(buffer.copy(), cell(0x61, ID, onion));
  }
});

Deno.test("origin circuit: removes the first hop's layer first", () => {
  const { circuit } = makeCircuit(3);
  const onion = [2, 1, 0].reduce((body: Uint8Array, hop) => {
    return layerPlainly(keysOf(hop)[1], 5, returnSealed, body);
  }, BODY);
  const buffer = poisoned(cell(0x64, ID, onion));
  assert.equal(circuit.peel(buffer, returnSealed), undefined);
  assert.deepEqual(buffer.copy(), BODY);
});

Deno.test("origin circuit: adds only a cell header if there are no layers", () => {
  const circuit = new OriginCircuit(ID, [0], CIRCUIT_KINDS.plain, addressFromBits(0));
  const buffer = poisoned(BODY);
  assert.equal(circuit.seal(buffer, CellType.relayData), true);
  assert.deepEqual(buffer.copy(), cell(0x51, ID, BODY));
  assert.equal(circuit.peel(buffer, CellType.relayData), undefined);
  assert.deepEqual(buffer.copy(), BODY);
  assert.equal(circuit.sent, 0);
});

Deno.test("origin circuit: each hop removes its layer outward, and adds it homeward", () => {
  const anyHops = fc.integer({ min: 1, max: 5 });
  fc.assert(fc.property(anyHops, fc.nat(1500), (hops, length) => {
    const { circuit, ends } = makeCircuit(hops);
    const packet = pattern(length);
    const buffer = poisoned(packet, 1500 + 16 * hops);
    const { start, end } = buffer;
    assert.equal(circuit.seal(buffer, relaySealed), true);
    assert.equal(buffer.length, 8 + length + 24 * hops);
    assertPoisonOutside(buffer, buffer.start, buffer.end);
    buffer.start += 8;
    for (const end of ends) assert.equal(end.peel(buffer, relaySealed), undefined);
    assert.deepEqual([buffer.start, buffer.end], [start, end]);
    assert.deepEqual(buffer.copy(), packet);

    for (const end of ends.toReversed()) assert.equal(end.seal(buffer, returnSealed), true);
    buffer.start -= 8;
    assert.equal(circuit.peel(buffer, returnSealed), undefined);
    assert.deepEqual(buffer.copy(), packet);
  }));
});

Deno.test("origin circuit: refuses replies with missing layers, in the wrong order, or of another type", () => {
  const wrong: [what: string, order: readonly number[], type: CellType][] = [
    ["the first hop by itself", [0], returnSealed],
    ["without the last hop", [1, 0], returnSealed],
    ["the wrong way round", [0, 1, 2], returnSealed],
    ["as what extends a circuit", [2, 1, 0], CellType.sealedExtendDone],
  ];
  for (const [what, order, type] of wrong) {
    const { circuit, ends } = makeCircuit(3);
    const buffer = poisoned(pattern(100));
    for (const hop of order) ends[hop]!.seal(buffer, type);
    buffer.start -= 8;
    assert.equal(circuit.peel(buffer, returnSealed), "forged", what);
  }
});

Deno.test("origin circuit: refuses each truncation of a cell", () => {
  const { circuit, ends } = makeCircuit(2);
  const buffer = poisoned(BODY);
  for (const end of ends.toReversed()) end.seal(buffer, returnSealed);
  const whole = cell(0x64, ID, buffer.copy());
  for (let length = 8; length < whole.length; length++) {
    const fault = circuit.peel(poisoned(whole.subarray(0, length)), returnSealed);
    assert.equal(fault, length < 8 + 24 ? "truncated" : "forged", `${length} bytes`);
  }
  assert.equal(circuit.peel(poisoned(whole), returnSealed), undefined);
  assert.equal(circuit.peel(poisoned(whole), returnSealed), "replayed");
});

Deno.test("origin circuit: seals the longest packet within one buffer", () => {
  const { circuit } = makeCircuit(5);
  const longest = longestPacket(MAX_PACKET, "sealed", 5);
  const buffer = poisoned(pattern(longest));
  assert.equal(circuit.seal(buffer, relaySealed), true);
  assert.equal(buffer.length, 65_507, "the longest UDP datagram");
});

Deno.test("origin circuit: counts the cells sealed with the first hop's key", () => {
  const { circuit } = makeCircuit(1);
  circuit.seal(poisoned(BODY), relaySealed);
  circuit.addLayer(new Layer(PROVIDER, { send: pattern(KEY), receive: pattern(KEY, 1) }));
  circuit.seal(poisoned(BODY), relaySealed);
  assert.equal(circuit.sent, 2);
});

Deno.test("origin circuit: seals nothing once the key of any hop has reached its limit", () => {
  for (const worn of [0, 1, 2]) {
    const circuit = new OriginCircuit(ID, [0], CIRCUIT_KINDS.sealed, addressFromBits(0));
    for (const hop of [0, 1, 2]) {
      const layer = new Layer(PROVIDER, { send: pattern(KEY, hop), receive: pattern(KEY, 9) });
      // As after 2^48 cells.
      if (hop === worn) layer.seal = () => false;
      circuit.addLayer(layer);
    }
    assert.equal(circuit.seal(poisoned(BODY), relaySealed), false);
  }
});

Deno.test("origin circuit: can be disposed of twice", () => {
  const { circuit } = makeCircuit(2);
  circuit[Symbol.dispose]();
  assert.equal(circuit.sent, 0);
  circuit[Symbol.dispose]();
});
