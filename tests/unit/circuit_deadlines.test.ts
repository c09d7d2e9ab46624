import assert from "node:assert/strict";
import fc from "fast-check";
import { Deadlines } from "../../src/circuit/deadlines.ts";

Deno.test("deadlines: hands out items in the order of their deadlines, and none before its time", () => {
  const deadlines = new Deadlines<string>();
  assert.equal(deadlines.next, Infinity);
  for (const [item, at] of [["c", 30], ["a", 10], ["d", 40], ["b", 20]] as const) deadlines.set(item, at);
  assert.equal(deadlines.next, 10);
  assert.equal(deadlines.take(9), undefined);
  assert.equal(deadlines.take(20), "a");
  assert.equal(deadlines.take(20), "b");
  assert.equal(deadlines.take(20), undefined);
  assert.equal(deadlines.next, 30);
});

Deno.test("deadlines: moves an item that is set again, earlier or later", () => {
  const deadlines = new Deadlines<string>();
  deadlines.set("a", 10);
  deadlines.set("b", 20);
  deadlines.set("a", 30);
  assert.equal(deadlines.next, 20);
  deadlines.set("a", 5);
  assert.equal(deadlines.take(5), "a");
  assert.equal(deadlines.take(100), "b");
  assert.equal(deadlines.take(100), undefined, "each item once");
});

Deno.test("deadlines: forgets an item that is deleted, and everything when cleared", () => {
  const deadlines = new Deadlines<string>();
  deadlines.set("a", 10);
  deadlines.set("b", 20);
  deadlines.delete("a");
  deadlines.delete("a");
  assert.equal(deadlines.next, 20);
  deadlines.clear();
  assert.equal(deadlines.next, Infinity);
  assert.equal(deadlines.take(Infinity), undefined);
});

Deno.test("deadlines: never hands out what is due never, and at once what is due always", () => {
  const deadlines = new Deadlines<string>();
  deadlines.set("never", Infinity);
  assert.equal(deadlines.take(1e300), undefined);
  deadlines.set("always", -Infinity);
  assert.equal(deadlines.take(-1e300), "always");
});

Deno.test("deadlines: agrees with a sorted list, whatever is set, deleted and taken", () => {
  const step = fc.record({
    kind: fc.constantFrom("set", "set", "delete", "take"),
    item: fc.nat(30),
    at: fc.nat(100),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const deadlines = new Deadlines<number>();
    const list = new Map<number, number>();
    for (const { kind, item, at } of steps) {
      if (kind === "set") {
        deadlines.set(item, at);
        list.set(item, at);
      } else if (kind === "delete") {
        deadlines.delete(item);
        list.delete(item);
      } else {
        const taken = deadlines.take(at);
        const first = Math.min(Infinity, ...list.values());
        if (first > at) assert.equal(taken, undefined);
        else {
          assert.equal(list.get(taken!), first);
          list.delete(taken!);
        }
      }
      assert.equal(deadlines.next, Math.min(Infinity, ...list.values()));
    }
  }));
});
