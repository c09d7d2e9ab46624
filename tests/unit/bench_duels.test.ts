import assert from "node:assert/strict";
import { takeTurns } from "../../bench/duels.ts";
import type { Figures } from "../../bench/measures.ts";

Deno.test("takeTurns: swaps the order with each turn", async () => {
  const order: string[] = [];
  await takeTurns(["a", "b"], 3, (name) => {
    order.push(name);
    return Promise.resolve({});
  });
  assert.equal(order.join(""), "abbaab");
});

Deno.test("takeTurns: takes the median of the turns' ratios at any pace of the machine", async () => {
  const pace = [100, 100, 50, 50, 200, 200];
  const figures = (name: string): Promise<Figures> => {
    const rate64 = pace.shift()! * (name === "a" ? 0.9 : 1);
    return Promise.resolve({ rate64, cpu64: 1 / rate64 });
  };
  const ratios = await takeTurns(["a", "b"], 3, figures);
  assert.ok(Math.abs(ratios.rate64! - 0.9) < 1e-9);
  assert.ok(Math.abs(ratios.cpu64! - 1 / 0.9) < 1e-9);
});

Deno.test("takeTurns: skips turns without a figure, and omits figures without a turn", async () => {
  const rates = [75, 100, undefined, 80, 125, 100];
  const next = (): Promise<Figures> => {
    const rate64 = rates.shift();
    return Promise.resolve(rate64 === undefined ? {} : { rate64 });
  };
  assert.deepEqual(await takeTurns(["a", "b"], 3, next), { rate64: 1 });
  assert.deepEqual(await takeTurns(["a", "b"], 1, () => Promise.resolve({})), {});
});
