import assert from "node:assert/strict";
import { CellType } from "../../src/cell/cell.ts";
import { cellName, formatCell, parseCell } from "../../src/cell/parse.ts";
import { cell, hex, pattern } from "../support/packets.ts";

Deno.test("parseCell: returns type, circuit id, and body", () => {
  const datagram = cell(0x51, 0xab, pattern(20));
  assert.deepEqual(parseCell(datagram), { type: 0x51, circuit: 0xab, body: pattern(20) });
  for (let length = 0; length < 8; length++) {
    assert.equal(parseCell(datagram.subarray(0, length)), undefined, `${length} bytes`);
  }
  assert.equal(parseCell(hex("51 000100 00000001")), undefined, "a reserved bit");
});

Deno.test("formatCell: names each cell type, and shows the number of an unknown one", () => {
  const names = Object.values(CellType).map(cellName);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.every((name) => !name.startsWith("type ")));
  assert.equal(formatCell({ type: 0x51, circuit: 1 }), "relay data, circuit 0x01");
  assert.equal(formatCell({ type: 0x7f, circuit: 0x101 }), "type 0x7f, circuit 0x101");
});
