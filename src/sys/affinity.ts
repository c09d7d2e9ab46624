/**
 * Which processors a thread may run on (sched_setaffinity(2)).
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

/** `<bits/cpu-set.h>`: bytes of a `cpu_set_t`, a bit for each of 1024 processors. */
const CPU_SET = 128;

/** The thread that calls. */
const SELF = 0;

/** A set of processors, as the kernel takes it. */
export type CpuSet = Uint8Array<ArrayBuffer>;

/** The processors that this thread may run on; undefined where the kernel has more than a `cpu_set_t` holds. */
export function allowedCpus(): CpuSet | undefined {
  const set = new Uint8Array(CPU_SET);
  return libc.sched_getaffinity(SELF, set.length, set) < 0 ? undefined : set;
}

/** Lets this thread run on these processors and no others: whether the kernel does so. */
export function allowCpus(set: CpuSet): boolean {
  return libc.sched_setaffinity(SELF, set.length, set) === 0;
}

/** The set of one processor. */
export function onlyCpu(cpu: number): CpuSet {
  const set = new Uint8Array(CPU_SET);
  set[cpu >>> 3] = 1 << (cpu & 7);
  return set;
}

/** `<sched.h>` */
const SCHED_OTHER = 0;
const SCHED_BATCH = 3;

/**
 * Whether this thread, when it is woken, lets whoever runs go on for a while (SCHED_BATCH, sched(7)), and does not take its
 * place at once.
 */
export function waitPatiently(isPatient: boolean): boolean {
  // A `struct sched_param { int sched_priority; }`, which must be 0.
  return libc.sched_setscheduler(SELF, isPatient ? SCHED_BATCH : SCHED_OTHER, new Uint8Array(4)) === 0;
}

/** Lets others that want this thread's processor have it first. */
export function yieldCpu(): void {
  libc.sched_yield();
}

/** The processor that this thread runs on now; it may be another one by the time of the answer. */
export function currentCpu(): number | undefined {
  const cpu = libc.sched_getcpu();
  return cpu < 0 || cpu >= 8 * CPU_SET ? undefined : cpu;
}
