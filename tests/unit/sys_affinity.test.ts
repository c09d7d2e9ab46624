import assert from "node:assert/strict";
import { allowCpus, allowedCpus, currentCpu, onlyCpu, setPolicy } from "../../src/sys/affinity.ts";

/**
 * This thread's scheduling policy: field 41 of proc_pid_stat(5). Counts from the name in
 * parentheses.
 */
function policy(): number {
  const stat = Deno.readTextFileSync("/proc/thread-self/stat");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[41 - 3]);
}

Deno.test("affinity: keeps a thread on one processor until released", () => {
  const all = allowedCpus()!;
  const cpu = currentCpu()!;
  try {
    assert.equal(allowCpus(onlyCpu(cpu)), true);
    assert.deepEqual(allowedCpus(), onlyCpu(cpu));
    assert.equal(currentCpu(), cpu);
  } finally {
    allowCpus(all);
  }
  assert.deepEqual(allowedCpus(), all);
});

Deno.test("scheduling policy: changes to SCHED_BATCH and back to SCHED_OTHER", () => {
  const before = policy();
  assert.equal(setPolicy("batch"), true);
  assert.equal(policy(), 3);
  assert.equal(setPolicy("normal"), true);
  assert.equal(policy(), 0);
  setPolicy(before === 3 ? "batch" : "normal");
});
