/**
 * The routers that a stage started, read from its classic log files. Pure.
 *
 * @module
 */

/** A router whose process has said that it is up. */
export interface Start {
  readonly router: string;
  readonly pid: number;
  /** The UDP port of its data link, or of its control channel if the stage carries no packets. */
  readonly port: number;
}

/** Each start once, although the logs of proxy and router both have it. Sorted by router. */
export function starts(logs: Iterable<readonly string[]>): Start[] {
  const all = [...logs].flat().flatMap(readStart);
  return all.filter(({ router }, at) => all.findIndex((other) => other.router === router) === at)
    .toSorted((one, other) => one.router.localeCompare(other.router));
}

function readStart(line: string): Start[] {
  const match = /^router: (\d+), pid: (\d+), port: (\d+)/.exec(line);
  if (match === null) return [];
  const [, number, pid, port] = match;
  return [{ router: `router ${number}`, pid: Number(pid), port: Number(port) }];
}
