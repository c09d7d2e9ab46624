import assert from "node:assert/strict";
import { after, every, sleep } from "../../src/sys/timer.ts";

Deno.test("timer: fires once, not early, and not after it was cancelled", async () => {
  const began = performance.now();
  let times = 0;
  const cancel = after(5, () => times++);
  after(1, () => assert.fail("it was cancelled"))();
  await sleep(10.5);
  assert.ok(performance.now() - began >= 10, `${performance.now() - began}`);
  assert.equal(times, 1);
  cancel();
});

Deno.test("timer: fires at once if it is already due", async () => {
  await sleep(0);
  await sleep(-5);
});

Deno.test("timer: repeats until cancelled, also by its own callback", async () => {
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

Deno.test("timer: keeps the program alive", async () => {
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
