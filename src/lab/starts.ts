/**
 * Which routers have been started, from the classic log files of a stage. Pure.
 *
 * @module
 */

/** A router's start: the proxy has started its process, and it has said that it is up. */
export interface Start {
  readonly router: string;
  readonly pid: number;
  /** The UDP port of its data link; of the control channel where no packets travel. */
  readonly port: number;
}

/** The starts, each once, though the proxy's log and the router's own tell of it. */
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
