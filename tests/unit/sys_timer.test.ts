import assert from "node:assert/strict";
import { after, every, sleep } from "../../src/sys/timer.ts";

Deno.test("a timer goes off once, not before its time, and not at all once it is cancelled", async () => {
  const began = performance.now();
  let times = 0;
  const cancel = after(5, () => times++);
  after(1, () => assert.fail("it was cancelled"))();
  await sleep(10.5);
  assert.ok(performance.now() - began >= 10, `${performance.now() - began}`);
  assert.equal(times, 1);
  cancel();
});

Deno.test("what is due already goes off as soon as it can", async () => {
  await sleep(0);
  await sleep(-5);
});

Deno.test("a repeated timer goes on until it is cancelled, be it by what it calls", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let times = 0;
  const cancel = every(1, () => {
    if (++times < 3) return;
    cancel();
    resolve();
  });
  await promise;
  await sleep(5);
  assert.equal(times, 3);
});

Deno.test("a program lives as long as its timers", async () => {
  const timer = new URL("../../src/sys/timer.ts", import.meta.url);
  const program = `
    import { after, every } from "${timer}";
    after(60_000, () => {})();
    every(60_000, () => {})();
    after(20, () => console.log("went off"));`;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", program],
    stderr: "inherit",
  }).output();
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "went off\n"]);
});
