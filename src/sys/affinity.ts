/**
 * The processors and the scheduling policy of a thread (sched_setaffinity(2), sched(7)).
 *
 * @module
 */
import { libcWith } from "./libc.ts";

const libc = libcWith(
  "sched_getaffinity",
  "sched_setaffinity",
  "sched_setscheduler",
  "sched_yield",
  "sched_getcpu",
);

/** `<bits/cpu-set.h>`: bytes of a `cpu_set_t`, which has a bit for each of 1024 processors. */
const CPU_SET = 128;

/** The calling thread. */
const SELF = 0;

/** A `cpu_set_t`. */
type CpuSet = Uint8Array<ArrayBuffer>;

/**
 * The processors that this thread may run on; `undefined` if a `cpu_set_t` cannot hold them all.
 */
export function allowedCpus(): CpuSet | undefined {
  const set = new Uint8Array(CPU_SET);
  return libc.sched_getaffinity(SELF, set.length, set) < 0 ? undefined : set;
}

/** Lets this thread run on these processors only. Returns whether the kernel accepted that. */
export function allowCpus(set: CpuSet): boolean {
  return libc.sched_setaffinity(SELF, set.length, set) === 0;
}

/** A set of one processor. */
export function onlyCpu(cpu: number): CpuSet {
  const set = new Uint8Array(CPU_SET);
  set[cpu >>> 3] = 1 << (cpu & 7);
  return set;
}

/** `<sched.h>`: SCHED_OTHER and SCHED_BATCH. */
const POLICY = { normal: 0, batch: 3 } as const;

/**
 * Sets this thread's scheduling policy. With `batch`, a woken thread lets the running one go on for
 * a while instead of taking its place. Returns whether the kernel accepted that.
 */
export function setPolicy(policy: keyof typeof POLICY): boolean {
  // A `struct sched_param { int sched_priority; }`, which must be 0.
  return libc.sched_setscheduler(SELF, POLICY[policy], new Uint8Array(4)) === 0;
}

/** Lets other threads that wait for this processor run first. */
export function yieldCpu(): void {
  libc.sched_yield();
}

/** The processor that this thread runs on. It may have moved by the time of the answer. */
export function currentCpu(): number | undefined {
  const cpu = libc.sched_getcpu();
  return cpu < 0 || cpu >= 8 * CPU_SET ? undefined : cpu;
}
