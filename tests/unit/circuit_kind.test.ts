import assert from "node:assert/strict";
import { CellType } from "../../src/cell/cell.ts";
import {
  CIRCUIT_KINDS,
  type CircuitKindName,
  hasLayers,
  isBuilt,
  isHomeward,
  longestPacket,
} from "../../src/circuit/kind.ts";

const { direct, plain, sealed } = CIRCUIT_KINDS;

Deno.test("circuit kind: each has the cell types of docs/protocol.md", () => {
  const words = Object.values(CIRCUIT_KINDS).map(({ building, relay, back }) =>
    [building?.create, building?.created, building?.extend, building?.extended, relay, back]
      .map((type) => type?.toString(16))
  );
  assert.deepEqual(words, [
    [undefined, undefined, undefined, undefined, "51", "54"],
    ["52", "53", "52", "53", "51", "54"],
    ["65", "65", "62", "63", "61", "64"],
  ]);
});

Deno.test("circuit kind: clear and sealed cells share no type but destroy", () => {
  assert.deepEqual([...plain.cells.intersection(sealed.cells)], [CellType.destroy]);
  assert.deepEqual(direct.cells, plain.cells);
});

Deno.test("circuit kind: plain and sealed circuits are built, and only sealed ones have layers", () => {
  const names: CircuitKindName[] = ["direct", "plain", "sealed"];
  assert.deepEqual(names.map(isBuilt), [false, true, true]);
  assert.deepEqual(names.map(hasLayers), [false, false, true]);
});

Deno.test("circuit kind: created, extended and back cells travel towards the proxy", () => {
  const types = Array.from({ length: 256 }, (_, type) => type).filter(isHomeward);
  assert.deepEqual(types, [0x53, 0x54, 0x63, 0x64, 0x65]);
});

Deno.test("circuit kind: the longest packet is the link MTU minus every header and layer", () => {
  const cases: [linkMtu: number, kind: CircuitKindName, hops: number, longest: number][] = [
    // 20 of IPv4, 8 of UDP, 8 of the cell.
    [65_535, "plain", 1, 65_499],
    [1500, "plain", 1, 1464],
    [1500, "plain", 5, 1464],
    // And 24 for each hop: a counter and a tag.
    [65_535, "sealed", 1, 65_475],
    [1500, "sealed", 1, 1440],
    [1500, "sealed", 3, 1392],
    [1500, "sealed", 5, 1344],
    [1280, "sealed", 5, 1124],
    // The length field limits a packet, even if the link carries more.
    [65_536, "plain", 1, 65_499],
    [1e6, "sealed", 3, 65_427],
  ];
  for (const [linkMtu, kind, hops, longest] of cases) {
    assert.equal(longestPacket(linkMtu, kind, hops), longest);
  }
});
