/**
 * From the classic log files of a stage to what passed from whom to whom, in the order in which it did. Pure.
 *
 * A line tells of an arrival: of what came, and where it came from. Each file is in order, but nothing says how the
 * lines of two files lie between each other. Causes do: what a router has got from the proxy, the proxy had before.
 * So packets are followed on their way, from line to line, through all files.
 *
 * @module
 */

/** Something that passed between two parties of a stage. */
export type Passage = Start | PacketPassage;

/** A router's start: the proxy has started its process, and it has said that it is up. */
export interface Start {
  readonly kind: "start";
  readonly router: string;
  readonly pid: number;
  readonly port: number;
}

/** A packet on one leg of its way. */
export interface PacketPassage {
  readonly kind: "packet";
  /** Which of the packets that ping has sent this belongs to, from 1. */
  readonly round: number;
  readonly from: string;
  readonly to: string;
  readonly source: string;
  readonly destination: string;
  /** The ICMP type. */
  readonly type: number;
}

/** Parties that write no log. */
export const PING = "ping", WORLD = "world";

/** The party that `stageN.proxy.out` is of. */
export const PROXY = "proxy";

/** ICMP types, as RFC 792 numbers them. */
export const IcmpType = { echoReply: 0, echoRequest: 8 } as const;

/** An arrival, as a line of a log tells of it. */
type Arrival = Omit<PacketPassage, "kind" | "round">;

/** What passed, from the lines of each party's log. */
export function passages(logs: ReadonlyMap<string, readonly string[]>): Passage[] {
  const lines = [...logs.values()].flat();
  const starts = lines.flatMap(readStart).filter(({ router }, at, all) =>
    all.findIndex((other) => other.router === router) === at
  );
  const ports = new Map<string, string>(starts.map(({ router, port }) => [`${port}`, router]));
  const [, proxyPort] =
    lines.map((line) => /^proxy port: (\d+)$/.exec(line)).find((match) => match !== null) ?? [];
  if (proxyPort !== undefined) ports.set(proxyPort, PROXY);
  const arrivals = [...logs].map(([party, lines]) =>
    lines.flatMap((line) => readArrival(line, party, ports))
  );
  return [...starts, ...follow(arrivals)];
}

function readStart(line: string): Start[] {
  const match = /^router: (\d+), pid: (\d+), port: (\d+)/.exec(line);
  if (match === null) return [];
  const [, number, pid, port] = match;
  return [{ kind: "start", router: `router ${number}`, pid: Number(pid), port: Number(port) }];
}

function readArrival(line: string, to: string, ports: ReadonlyMap<string, string>): Arrival[] {
  const match = /^ICMP from (?:(tunnel)|(raw sock)|port: (\d+)), src: (\S+), dst: (\S+), type: (\d+)$/.exec(
    line,
  );
  if (match === null) return [];
  const [, tunnel, rawSocket, port, source, destination, type] = match;
  const from = tunnel ? PING : rawSocket ? WORLD : ports.get(port!) ?? `port ${port}`;
  return [{ from, to, source: source!, destination: destination!, type: Number(type) }];
}

/** A packet on its way. */
interface Traveller {
  readonly round: number;
  /** Who has it. */
  readonly at: string;
  readonly type: number;
}

function follow(logs: Arrival[][]): PacketPassage[] {
  const passages: PacketPassage[] = [];
  /** The one that moved last is the last. */
  const travellers: Traveller[] = [];
  let rounds = 0;
  for (;;) {
    // What comes from the world first: until it has come, the router that it comes to has nothing to hand on.
    const heads = logs.flatMap((log) => log.slice(0, 1)).sort((one, other) =>
      Number(other.from === WORLD) - Number(one.from === WORLD)
    );
    // On with the packet that moved last; if it goes nowhere, with an older one; then with a new one.
    const which = travellers.findLastIndex((traveller) => heads.some((head) => mayBe(traveller, head)));
    const traveller = which < 0 ? undefined : travellers.splice(which, 1)[0]!;
    const next = traveller !== undefined
      ? heads.find((head) => mayBe(traveller, head))
      : heads.find(({ from }) => from === PING) ?? heads[0];
    if (next === undefined) return passages;
    logs.find((log) => log[0] === next)!.shift();
    const round = next.from === PING ? ++rounds : traveller?.round ?? rounds;
    const pass = (arrival: Arrival) => passages.push({ kind: "packet", round, ...arrival });
    // Not logged, for nothing arrives at a log: what left for the world, and what ping got.
    if (next.from === WORLD && next.type === IcmpType.echoReply) pass(requestOf(next));
    pass(next);
    if (next.to === PROXY && next.from !== PING) pass({ ...next, from: PROXY, to: PING });
    else travellers.push({ round, at: next.to, type: next.type });
  }
}

/** Whether an arrival may be the traveller's next. A request that a router has sent into the world comes back to it. */
function mayBe({ at, type }: Traveller, { from, to }: Arrival): boolean {
  return from === WORLD ? at === to && type === IcmpType.echoRequest : at === from;
}

function requestOf({ to, source, destination }: Arrival): Arrival {
  return { from: to, to: WORLD, source: destination, destination: source, type: IcmpType.echoRequest };
}
