import assert from "node:assert/strict";
import { CellType } from "../../src/cell/cell.ts";
import { type Dialect, longestPacket, PLAIN, SEALED } from "../../src/circuit/dialect.ts";

Deno.test("the cells of each dialect", () => {
  const words = ({ begin, begun, extend, extended, relay, back }: Dialect) =>
    [begin, begun, extend, extended, relay, back].map((type) => type.toString(16));
  assert.deepEqual(words(PLAIN), ["52", "53", "52", "53", "51", "54"]);
  assert.deepEqual(words(SEALED), ["65", "65", "62", "63", "61", "64"]);
});

Deno.test("no cell has two meanings: what belongs to one dialect is unknown in the other, and destroy is in neither", () => {
  const types = (dialect: Dialect) =>
    Object.values(dialect).filter((value) => typeof value === "number" && value > 0x50);
  const [plain, sealed] = [new Set(types(PLAIN)), new Set(types(SEALED))];
  assert.ok(plain.isDisjointFrom(sealed));
  assert.ok(![...plain, ...sealed].includes(CellType.destroy));
});

Deno.test("golden: the longest packet, the link's MTU less every header and every layer", () => {
  const cases: [linkMtu: number, dialect: Dialect, hops: number, longest: number][] = [
    // 20 of IPv4, 8 of UDP, 8 of the cell.
    [65_535, PLAIN, 1, 65_499],
    [1500, PLAIN, 1, 1464],
    [1500, PLAIN, 5, 1464],
    // And 24 for each hop: a counter and a tag.
    [65_535, SEALED, 1, 65_475],
    [1500, SEALED, 1, 1440],
    [1500, SEALED, 3, 1392],
    [1500, SEALED, 5, 1344],
    [1280, SEALED, 5, 1124],
    // No packet is longer than its length field can say, whatever the link would take.
    [65_536, PLAIN, 1, 65_499],
    [1e6, SEALED, 3, 65_427],
  ];
  for (const [linkMtu, dialect, hops, longest] of cases) {
    assert.equal(longestPacket(linkMtu, dialect, hops), longest);
  }
});
