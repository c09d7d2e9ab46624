/**
 * Runs the load generator, `bench/floor/load.c`.
 *
 * @module
 */
import type { Place } from "./place.ts";

/** One run of the load generator. */
export interface LoadOptions {
  /** The first address that packets go to. */
  readonly target: string;
  /** Number of consecutive addresses that they go to, in turn. */
  readonly flows: number;
  /** Payload bytes. */
  readonly size: number;
  /** Packets in flight at once. */
  readonly window: number;
  /** Average pause in ms before a packet while none is in flight; no pause unless given. */
  readonly pause?: number;
  readonly warmupSeconds: number;
  readonly spanSeconds: number;
  /** Processes whose CPU time is taken. */
  readonly watch: readonly number[];
}

/** Its output; the C file explains the fields. */
export interface LoadResult {
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly damaged: number;
  readonly seconds: number;
  /** Packets answered within those seconds. */
  readonly counted: number;
  readonly packetsPerSecond: number;
  readonly watchedCpuSeconds: number;
  readonly ownCpuSeconds: number;
  readonly roundTripMicroseconds: { readonly midmean: number; readonly p99: number } | null;
}

/** Puts load on a contender from `place`. `program` is the path of the built load generator. */
export async function load(
  program: string,
  place: Place,
  options: LoadOptions,
  signal: AbortSignal,
): Promise<LoadResult> {
  const text = await place.run([
    program,
    ...["--flows", String(options.flows)],
    ...["--size", String(options.size)],
    ...["--window", String(options.window)],
    ...["--pause", String(options.pause ?? 0)],
    ...["--warmup", String(options.warmupSeconds)],
    ...["--seconds", String(options.spanSeconds)],
    ...options.watch.flatMap((pid) => ["--watch", String(pid)]),
    options.target,
  ], { signal });
  return JSON.parse(text);
}
