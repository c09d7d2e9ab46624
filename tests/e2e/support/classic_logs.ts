/**
 * The classic log files of a run: what they say, and what they must say, line by line.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Onion } from "./onion.ts";

/** A router, as the log introduces it. */
export interface Member {
  readonly number: number;
  readonly pid: number;
  /** The port of its data link, or of its control channel in stage 1. */
  readonly port: number;
  /** Its address in the world; empty if the log does not tell it. */
  readonly address: string;
  /** The line that introduces it. */
  readonly line: string;
}

/** The members of a run. */
export interface Members {
  /** The port of the proxy. */
  readonly proxyPort: number;
  readonly routers: readonly Member[];
}

/** The routers of a circuit, from the first hop to the last. */
export type Path = readonly Member[];

/** Successive pings of one client. */
interface Pings {
  readonly count: number;
  readonly client: string;
  readonly destination: string;
}

/** The lines of the log files by party: `proxy`, `router1`, … */
type Logs = Readonly<Record<string, readonly string[]>>;

/** The name of a party's log file. */
export function logFile(stage: number, party: string): string {
  return `stage${stage}.${party}.out`;
}

/** Waits until the proxy's log names all members. */
export async function membersOf(onion: Onion, stage: number, count: number): Promise<Members> {
  const [text, port] = await onion.logged(
    logFile(stage, "proxy"),
    new RegExp(`^proxy port: (\\d+)\\n(?:router: .*\\n){${count}}`),
  );
  const introductions = /^router: (\d+), pid: (\d+), port: (\d+)(?:, IP: (\S+))?$/gm;
  const routers = [...text.matchAll(introductions)].map(([line, number, pid, port, address = ""]) => ({
    number: Number(number),
    pid: Number(pid),
    port: Number(port),
    address,
    line,
  }));
  assert.deepEqual(routers.map(({ number }) => number), Array.from({ length: count }, (_, at) => at + 1));
  return { proxyPort: Number(port), routers };
}

/** Waits for the first circuit, and returns its path. */
export async function firstPath(
  onion: Onion,
  stage: number,
  { routers }: Members,
  hops: number,
): Promise<Path> {
  const [text] = await onion.logged(
    logFile(stage, "proxy"),
    new RegExp(`(?:^hop: .*\\n){${hops}}(?:^incoming extend-done circuit, .*\\n){${hops}}`, "m"),
  );
  const chosen = [...text.matchAll(/^hop: (\d+), router: (\d+)$/gm)].map(([_, hop, router]) =>
    [Number(hop), Number(router)] as const
  );
  assert.deepEqual(chosen.map(([hop]) => hop), Array.from({ length: hops }, (_, at) => at + 1));
  const path = chosen.map(([_, router]) => routers[router - 1]!);
  assert.equal(new Set(path).size, hops, "a path has distinct routers");
  return path;
}

/** The log files of all parties, after the run. */
export function logsOf(onion: Onion, stage: number, { routers }: Members): Logs {
  const parties = ["proxy", ...routers.map(({ number }) => `router${number}`)];
  return Object.fromEntries(parties.map((party) => [party, onion.log(logFile(stage, party))]));
}

/**
 * The expected log files after pings by direct circuits.
 *
 * @param pings in order, each with the number of its router
 * @param isAnsweredBy whether the routers themselves answer, or the world
 */
export function directLogs(
  { proxyPort, routers }: Members,
  pings: readonly (Pings & { readonly router: number })[],
  isAnsweredBy: "router" | "world",
): Logs {
  const ofRouter = (number: number) =>
    pings.filter(({ router }) => router === number).flatMap(({ count, client, destination }) =>
      times(count, [
        `ICMP from port: ${proxyPort}, src: ${client}, dst: ${destination}, type: 8`,
        ...(isAnsweredBy === "router"
          ? []
          : [`ICMP from raw sock, src: ${destination}, dst: 192.168.20${number}.2, type: 0`]),
      ])
    );
  const ofProxy = pings.flatMap(({ count, client, destination, router }) =>
    times(count, [
      `ICMP from tunnel, src: ${client}, dst: ${destination}, type: 8`,
      `ICMP from port: ${routers[router - 1]!.port}, src: ${destination}, dst: ${client}, type: 0`,
    ])
  );
  return {
    proxy: [`proxy port: ${proxyPort}`, ...routers.map(({ line }) => line), ...ofProxy],
    ...Object.fromEntries(
      routers.map(({ number, line }) => [`router${number}`, [line, ...ofRouter(number)]]),
    ),
  };
}

/**
 * The expected log files after pings by the first built circuit of a run:
 *
 * ```
 *   host ──► proxy ──0x01──► hop 1 ──0xA01──► hop 2 ──0xB01──► hop 3 ──► world     (hop 1 is router A, …)
 * ```
 */
export function circuitLogs(
  { proxyPort, routers }: Members,
  path: Path,
  { isSealed, count, client, destination }: Pings & { readonly isSealed: boolean },
): Logs {
  const hops = path.length;
  /**
   * The circuit's id on the link to a hop, counted from 0: the first id of that link's nearer end.
   */
  const id = (hop: number) => `0x${(hop === 0 ? "" : path[hop - 1]!.number) + "01"}`;
  const relayed = (hop: number): string[] => {
    const [incoming, outgoing, own] = [id(hop), id(hop + 1), path[hop]!.address];
    if (isSealed) {
      return [
        `relay encrypted packet, circuit incoming: ${incoming}, outgoing: ${outgoing}`,
        `relay reply encrypted packet, circuit incoming: ${outgoing}, outgoing: ${incoming}`,
      ];
    }
    const before = hop === 0 ? client : path[hop - 1]!.address;
    return [
      `relay packet, circuit incoming: ${incoming}, outgoing: ${outgoing}, ` +
      `incoming src: ${before}, outgoing src: ${own}, dst: ${destination}`,
      `relay reply packet, circuit incoming: ${outgoing}, outgoing: ${incoming}, ` +
      `src: ${destination}, incoming dst: ${own}, outgoing dst: ${before}`,
    ];
  };
  const left = (hop: number): string[] => {
    // Only the proxy knows the sender of a sealed packet.
    const before = isSealed ? "0.0.0.0" : hop === 0 ? client : path[hop - 1]!.address;
    const own = path[hop]!.address;
    return [
      `outgoing packet, circuit incoming: ${id(hop)}, ` +
      `incoming src: ${before}, outgoing src: ${own}, dst: ${destination}`,
      `incoming packet, src: ${destination}, dst: ${own}, outgoing circuit: ${id(hop)}`,
    ];
  };
  const logs: Record<string, string[]> = {
    proxy: [
      `proxy port: ${proxyPort}`,
      ...routers.map(({ line }) => line),
      ...path.map(({ number }, hop) => `hop: ${hop + 1}, router: ${number}`),
      ...path.map(() => `incoming extend-done circuit, incoming: 0x01 from port: ${path[0]!.port}`),
      ...times(count, [
        `ICMP from tunnel, src: ${client}, dst: ${destination}, type: 8`,
        `incoming packet, circuit incoming: 0x01, src: ${destination}, dst: ${client}`,
      ]),
    ],
  };
  for (const { number, line } of routers) logs[`router${number}`] = [line];
  path.forEach(({ number }, hop) => {
    const log = logs[`router${number}`]!;
    if (hop === hops - 1) return log.push(...times(count, left(hop)));
    const ends = `circuit: incoming: ${id(hop)}, outgoing: ${id(hop + 1)} at ${path[hop + 1]!.port}`;
    const forwarded = hops - hop - 2;
    log.push(`new extend ${ends}`, ...times(forwarded, [`forwarding extend ${ends}`]));
    log.push(...times(count, relayed(hop)));
  });
  return logs;
}

function times(count: number, lines: readonly string[]): string[] {
  return Array<readonly string[]>(count).fill(lines).flat();
}
