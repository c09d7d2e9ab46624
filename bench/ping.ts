/**
 * Runs `ping` of iputils and parses its output.
 *
 * @module
 */
import type { PacketTarget } from "./contender.ts";
import type { Place } from "./place.ts";

/** The result of a run of `ping`. */
export interface PingResult {
  readonly sent: number;
  /** Packets answered, each counted once. */
  readonly received: number;
  readonly duplicates: number;
  /** The printed round trips in µs; empty for a flood, which prints none. */
  readonly roundTrips: readonly number[];
  /** The mean that `ping` prints, in µs; `undefined` without a reply. */
  readonly mean: number | undefined;
}

/** Pings from `place` with `args` added. No reply is a result, too. */
export async function ping(
  place: Place,
  { address, source }: PacketTarget,
  args: readonly string[],
  signal: AbortSignal,
): Promise<PingResult> {
  // ping exits with 1 after packet loss, and with 2 after an error.
  return parsePing(
    await place.run(["ping", "-n", ...(source === undefined ? [] : ["-I", source]), ...args, address], {
      signal,
      fine: [0, 1],
    }),
  );
}

/**
 * Parses the output of `ping`.
 *
 * @throws Error if the summary is missing
 */
export function parsePing(text: string): PingResult {
  const summary = /^(\d+) packets transmitted, (\d+) received(?:, \+(\d+) duplicates)?/m.exec(text);
  if (summary === null) throw new Error(`ping printed no summary: ${text}`);
  const mean = /^rtt min\/avg\/max\/mdev = [\d.]+\/([\d.]+)\//m.exec(text);
  // A duplicate's line ends in (DUP!).
  const lines = text.matchAll(/icmp_seq=\d+ ttl=\d+ time=([\d.]+) ms$/gm);
  return {
    sent: Number(summary[1]),
    received: Number(summary[2]),
    duplicates: Number(summary[3] ?? 0),
    roundTrips: Array.from(lines, (line) => Number(line[1]) * 1000),
    mean: mean === null ? undefined : Number(mean[1]) * 1000,
  };
}
