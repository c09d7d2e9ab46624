/**
 * The memory of processes, as the kernel counts it.
 *
 * @module
 */

/** The memory of some processes in MB (10^6 bytes). */
interface Memory {
  /** The sum of their proportional set sizes. */
  readonly pss: number;
  /** Resident set size of the largest process. */
  readonly largestRss: number;
}

/** Reads the memory of `pids`, which must be alive. */
export async function readMemory(pids: readonly number[]): Promise<Memory> {
  const rollups = await Promise.all(pids.map((pid) => Deno.readTextFile(`/proc/${pid}/smaps_rollup`)));
  return {
    pss: rollups.reduce((sum, rollup) => sum + megabytes(rollup, "Pss"), 0),
    largestRss: Math.max(...rollups.map((rollup) => megabytes(rollup, "Rss"))),
  };
}

function megabytes(rollup: string, field: string): number {
  const line = new RegExp(`^${field}: *(\\d+) kB$`, "m").exec(rollup);
  if (line === null) throw new Error(`smaps_rollup has no field ${field}`);
  return Number(line[1]) * 1024 / 1e6;
}
