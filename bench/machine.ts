/**
 * The machine of the figures, and the share of it that the bench really had.
 *
 * @module
 */
import { run } from "./command.ts";

/** The circumstances that readers need to judge the figures. */
export interface Machine {
  /** ISO 8601, UTC. */
  readonly date: string;
  /** `git describe` of the tree; `-dirty` if it was changed. */
  readonly revision: string;
  readonly processor: string;
  readonly cores: number;
  /** Gigabytes. */
  readonly memory: number;
  readonly kernel: string;
  readonly deno: string;
  /** The default congestion control of TCP, which peers depend on. */
  readonly congestionControl: string;
  /** Load average of the last minute before the bench began. */
  readonly loadBefore: number;
}

/** Describes this machine and the tree at `root`. */
export async function describeMachine(root: string): Promise<Machine> {
  const cpuinfo = await Deno.readTextFile("/proc/cpuinfo");
  const revision = await run(["git", "-C", root, "describe", "--always", "--dirty"]).catch(() => "unknown");
  return {
    date: new Date().toISOString(),
    revision: revision.trim(),
    processor: /^model name\s*: (.+)$/m.exec(cpuinfo)?.[1] ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    memory: Deno.systemMemoryInfo().total / 1e9,
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
    congestionControl: (await Deno.readTextFile("/proc/sys/net/ipv4/tcp_congestion_control")).trim(),
    loadBefore: Deno.loadavg()[0] ?? 0,
  };
}

/** Processor time since boot, in ticks. */
interface CpuTimes {
  readonly total: number;
  /** Taken by the hypervisor for other guests. */
  readonly stolen: number;
}

/** Reads the processor time of the whole machine. */
export async function readCpuTimes(): Promise<CpuTimes> {
  return parseCpuTimes(await Deno.readTextFile("/proc/stat"));
}

/** Parses the first line of `/proc/stat` (proc(5)). User time includes guest time already. */
export function parseCpuTimes(text: string): CpuTimes {
  const fields = text.slice(0, text.indexOf("\n")).trim().split(/\s+/).slice(1, 9).map(Number);
  return { total: fields.reduce((sum, ticks) => sum + ticks, 0), stolen: fields[7] ?? 0 };
}

/** The share of the machine, 0 to 1, that the hypervisor took between two readings. */
export function stolenShare(before: CpuTimes, after: CpuTimes): number {
  const total = after.total - before.total;
  return total > 0 ? (after.stolen - before.stolen) / total : 0;
}
