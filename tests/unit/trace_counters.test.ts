import assert from "node:assert/strict";
import {
  type CounterName,
  COUNTERS,
  Counters,
  COUNTERS_BYTES,
  DROP_REASONS,
  type DropReason,
  drops,
} from "../../src/trace/counters.ts";

const NAMES = [...Object.keys(COUNTERS), ...Object.keys(DROP_REASONS)] as (CounterName | DropReason)[];

Deno.test("counters: count each name separately", () => {
  const counters = new Counters();
  NAMES.forEach((name, index) => {
    for (let times = 0; times <= index; times++) counters.count(name);
  });
  NAMES.forEach((name, index) => assert.equal(counters.get(name), index + 1, name));
});

Deno.test("counters: have distinct names and meanings", () => {
  assert.equal(new Set(NAMES).size, NAMES.length);
  const meanings = [...Object.values(COUNTERS), ...Object.values(DROP_REASONS)];
  assert.equal(new Set(meanings).size, meanings.length);
});

Deno.test("counters: a snapshot holds every count above zero and tells drops from the rest", () => {
  const counters = new Counters();
  assert.deepEqual(counters.snapshot(), {});
  for (const name of ["bad-cell", "link-in", "link-in", "not-ipv4"] as const) counters.count(name);
  const snapshot = counters.snapshot();
  assert.deepEqual(snapshot, { "link-in": 2, "not-ipv4": 1, "bad-cell": 1 });
  assert.deepEqual(drops(snapshot), [["not-ipv4", 1], ["bad-cell", 1]]);
  counters.count("link-in");
  assert.equal(snapshot["link-in"], 2, "a snapshot does not change");
});

Deno.test("counters: another thread continues over the same memory, past 32 bits", () => {
  const memory = new SharedArrayBuffer(COUNTERS_BYTES);
  const [writer, reader] = [new Counters(memory), new Counters(memory)];
  writer.count("tun-in");
  assert.equal(reader.get("tun-in"), 1);
  new Float64Array(memory).fill(2 ** 32 - 1);
  writer.count("tun-in");
  assert.equal(reader.get("tun-in"), 2 ** 32);
});

Deno.test("counters: refuse memory of the wrong size", () => {
  assert.throws(() => new Counters(new ArrayBuffer(COUNTERS_BYTES + 1)), RangeError);
});
