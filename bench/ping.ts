/**
 * Runs `ping` of iputils and reads what it prints.
 *
 * @module
 */
import type { PacketTarget } from "./contender.ts";
import type { Place } from "./place.ts";

/** What a run of `ping` said. */
export interface PingResult {
  readonly sent: number;
  /** Packets answered, each counted once. */
  readonly received: number;
  readonly duplicates: number;
  /** The round trips printed line by line, in µs; empty for a flood, which prints none. */
  readonly roundTrips: readonly number[];
  /** The mean that `ping` itself prints, in µs; `undefined` if nothing came back. */
  readonly mean: number | undefined;
}

/** Pings from `place` with `args` added; no reply at all is a result, too. */
export async function ping(
  place: Place,
  { address, source }: PacketTarget,
  args: readonly string[],
  signal: AbortSignal,
): Promise<PingResult> {
  // ping exits with 1 when packets were lost, and with 2 when it could not do its work.
  return parsePing(
    await place.run(["ping", "-n", ...(source === undefined ? [] : ["-I", source]), ...args, address], {
      signal,
      fine: [0, 1],
    }),
  );
}

/**
 * Reads the output of `ping`.
 *
 * @throws Error if its summary is not there
 */
export function parsePing(text: string): PingResult {
  const summary = /^(\d+) packets transmitted, (\d+) received(?:, \+(\d+) duplicates)?/m.exec(text);
  if (summary === null) throw new Error(`ping printed no summary: ${text}`);
  const mean = /^rtt min\/avg\/max\/mdev = [\d.]+\/([\d.]+)\//m.exec(text);
  const lines = text.matchAll(/icmp_seq=\d+ ttl=\d+ time=([\d.]+) ms$/gm); // a duplicate's line ends in (DUP!)
  return {
    sent: Number(summary[1]),
    received: Number(summary[2]),
    duplicates: Number(summary[3] ?? 0),
    roundTrips: Array.from(lines, (line) => Number(line[1]) * 1000),
    mean: mean === null ? undefined : Number(mean[1]) * 1000,
  };
}
