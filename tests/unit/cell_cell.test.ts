import assert from "node:assert/strict";
import fc from "fast-check";
import { HEADROOM } from "../../src/buffer/packet_buffer.ts";
import {
  CELL_HEADER,
  cellCircuit,
  CellType,
  cellType,
  formatCircuit,
  isCell,
  unwrapCell,
  wrapCell,
} from "../../src/cell/cell.ts";
import { assertPoisonOutside, concat, hex, pattern, poisoned } from "../support/packets.ts";

const BODY = hex("45 00 0014");

Deno.test("cell: has the documented bytes", () => {
  const cases: [type: CellType, circuit: number, header: string][] = [
    // Type, three reserved bytes, and the circuit id in network order.
    [CellType.relayData, 1, "51 000000 00000001"],
    [CellType.returnData, 0xfedc_ba98, "54 000000 fedcba98"],
  ];
  for (const [type, circuit, header] of cases) {
    const buffer = poisoned(BODY);
    wrapCell(buffer, type, circuit);
    assert.deepEqual(buffer.copy(), concat(hex(header), BODY));
    assert.equal(isCell(buffer), true);
    assert.equal(cellType(buffer), type);
    assert.equal(cellCircuit(buffer), circuit);
  }
});

Deno.test("cell: wraps a packet in place, and unwraps it unchanged", () => {
  const anyType = fc.constantFrom(...Object.values(CellType));
  const anyCircuit = fc.integer({ min: 1, max: 0xffff_ffff });
  fc.assert(fc.property(anyType, anyCircuit, fc.nat(1500), (type, circuit, length) => {
    const packet = pattern(length);
    const buffer = poisoned(packet, 1500);
    const { start, end } = buffer;
    wrapCell(buffer, type, circuit);
    assertPoisonOutside(buffer, start - CELL_HEADER, end);
    unwrapCell(buffer);
    assert.deepEqual([buffer.start, buffer.end], [start, end]);
    assert.deepEqual(buffer.copy(), packet);
  }));
});

Deno.test("cell: rejects each truncated header, and accepts a header alone", () => {
  const header = hex("51 000000 00000001");
  for (let length = 0; length < header.length; length++) {
    assert.equal(isCell(poisoned(header.subarray(0, length))), false, `${length} bytes`);
  }
  assert.equal(isCell(poisoned(header)), true);
});

Deno.test("cell: rejects circuit 0 and any reserved bit", () => {
  assert.equal(isCell(poisoned(hex("51 000000 00000000"))), false);
  for (let bit = 8; bit < 32; bit++) {
    const header = hex("51 000000 00000001");
    header[bit >>> 3]! ^= 0x80 >>> (bit & 7);
    assert.equal(isCell(poisoned(header)), false, `bit ${bit}`);
  }
});

Deno.test("cell: accepts unknown types", () => {
  for (let type = 0; type < 256; type++) {
    const buffer = poisoned(concat(Uint8Array.of(type), hex("000000 00000007")));
    assert.equal(isCell(buffer), true);
    assert.equal(cellType(buffer), type);
  }
});

Deno.test("cell: fits sixteen headers into the headroom, and throws for one more", () => {
  const buffer = poisoned(BODY, 64);
  for (let layer = 0; layer < HEADROOM / CELL_HEADER; layer++) wrapCell(buffer, CellType.relayData, 1);
  assert.equal(buffer.start, 0);
  const before = buffer.copy();
  assert.throws(() => wrapCell(buffer, CellType.relayData, 1), RangeError);
  assert.deepEqual(buffer.bytes.slice(0, before.length), before);
});

Deno.test("formatCircuit: prints lower-case hex with at least two digits", () => {
  const cases: [circuit: number, want: string][] = [
    [1, "0x01"],
    [0xab, "0xab"],
    [0x100, "0x100"],
    [0xffff_ffff, "0xffffffff"],
  ];
  for (const [circuit, want] of cases) assert.equal(formatCircuit(circuit), want);
});
