import assert from "node:assert/strict";
import fc from "fast-check";
import { formatCircuit } from "../../src/cell/cell.ts";
import { CircuitIds } from "../../src/circuit/ids.ts";

const nobody = () => false;

/** The first ids of a party, without those that are taken. */
function idsOf(party: number, count: number, isTaken: (id: number) => boolean = nobody): number[] {
  const ids = new CircuitIds(party);
  return Array.from({ length: count }, () => ids.next(isTaken));
}

Deno.test("circuit ids: have the classic form, the party's number and a count", () => {
  assert.deepEqual(idsOf(0, 3).map(formatCircuit), ["0x01", "0x02", "0x03"]);
  assert.deepEqual(idsOf(1, 2).map(formatCircuit), ["0x101", "0x102"]);
  assert.deepEqual(idsOf(6, 1).map(formatCircuit), ["0x601"]);
});

Deno.test("circuit ids: continue the count above the party's byte after 255 ids", () => {
  assert.deepEqual(idsOf(0, 257).slice(253).map(formatCircuit), ["0xfe", "0xff", "0x10000", "0x10001"]);
  assert.deepEqual(idsOf(3, 257).slice(253).map(formatCircuit), ["0x3fe", "0x3ff", "0x10300", "0x10301"]);
});

Deno.test("circuit ids: are never 0, and never equal for two parties or twice for one", () => {
  const parties = [0, 1, 2, 6, 255];
  const all = parties.flatMap((party) => idsOf(party, 5000));
  assert.equal(new Set(all).size, parties.length * 5000);
  assert.ok(all.every((id) => id > 0 && id <= 0xffff_ffff && Number.isInteger(id)));
});

Deno.test("circuit ids: contain the party's number", () => {
  fc.assert(fc.property(fc.nat(255), fc.integer({ min: 1, max: 2000 }), (party, count) => {
    assert.ok(idsOf(party, count).every((id) => (id >>> 8 & 0xff) === party));
  }));
});

Deno.test("circuit ids: skip ids that are in use", () => {
  const taken = new Set([0x01, 0x03, 0x04]);
  assert.deepEqual(idsOf(0, 3, (id) => taken.has(id)), [0x02, 0x05, 0x06]);
});

Deno.test("circuit ids: start over after 2^24, without 0", () => {
  for (const [party, last, first] of [[0, 0xffff_00ff, 0x01], [255, 0xffff_ffff, 0xff00]] as const) {
    const ids = new CircuitIds(party);
    let seen = 0;
    // All are taken but the last.
    assert.equal(ids.next((id) => ++seen > 0 && id !== last), last);
    assert.equal(seen, 2 ** 24 - 1);
    assert.equal(ids.next(nobody), first);
  }
});
