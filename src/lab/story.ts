/**
 * The story that a demo tells, as text and as objects. Pure.
 *
 * @module
 */
import { formatCircuit } from "../cell/cell.ts";
import type { Stage } from "../config/stages.ts";
import { cellName } from "../cell/parse.ts";
import { building, buildingSentences, contentsOf, pathBefore, type Step } from "./building.ts";
import { journey, moral, sightOf, watcherSight } from "./narration.ts";
import { The } from "./parties.ts";
import type { Passage } from "./passages.ts";
import type { Start } from "./starts.ts";
import { list, table } from "./table.ts";

/** Everything that a demo has seen. */
export interface Story {
  readonly stage: Stage;
  readonly starts: readonly Start[];
  readonly passages: readonly Passage[];
  /** The ping and its result; undefined if the stage carries no packets. */
  readonly ping: PingResult | undefined;
  /** What crossed each link of the lab meanwhile. */
  readonly links: readonly LinkCount[];
}

/** A ping and its result. */
export interface PingResult {
  /** The command as a user would type it. */
  readonly command: string;
  readonly sent: number;
  readonly received: number;
  /** Average round trip in ms; undefined without a reply. */
  readonly average: number | undefined;
}

/** Packets over one link, including ARP. */
export interface LinkCount {
  readonly from: string;
  /** The interface at `from`. */
  readonly interface: string;
  readonly to: string;
  readonly out: number;
  readonly in: number;
}

/** The story as text for a terminal. */
export function storyText(story: Story): string {
  const steps = building(story.passages);
  const legs = firstPing(story);
  const begins = [...story.starts.flatMap(startSentences), ...buildingSentences(steps)];
  const path = pathBefore(steps, legs);
  const travels = journey(legs, path, story.stage);
  const isLong = steps.length > 0;
  return [
    title(story),
    list(isLong ? begins : [...begins, ...travels]),
    ...isLong ? [buildingTable(steps), list(travels, begins.length)] : [],
    ...legs.length > 0 ? [passageTable(legs), moral(legs, path, story.stage).join("\n")] : [],
    ...story.ping === undefined ? [] : [pingSentence(story.ping), linkTable(story.links)],
  ].filter((part) => part !== "").join("\n\n");
}

/** The story as objects, in order. */
export function storyObjects({ stage, starts, passages, ping, links }: Story): Record<string, unknown>[] {
  const steps = new Map(building(passages).map((step) => [step.passage, step]));
  return [
    { event: "demo", stage: stage.number },
    ...starts.map((start) => ({ event: "start", ...start })),
    ...passages.map((passage) => passageObject(passage, steps.get(passage))),
    ...ping === undefined ? [] : [{ event: "ping", ...ping }],
    ...links.map((link) => ({ event: "link", ...link })),
  ];
}

/** The passages of the first packet that ping sent. */
export function firstPing({ passages }: Story): Passage[] {
  return passages.filter(({ round }) => round === 1);
}

/** The name of a passage, e.g. `relay sealed data 0x01`. */
export function nameOf({ cell }: Passage): string {
  return cell === undefined ? "IP packet" : `${cellName(cell.type)} ${formatCircuit(cell.circuit)}`;
}

/** The result of ping as a sentence. */
export function pingSentence({ sent, received, average }: PingResult): string {
  const time = average === undefined ? "" : `, after ${average} ms on average`;
  return `${received} of ${sent} pings were answered${time}.`;
}

function title({ stage, ping }: Story): string {
  const heading = `Stage ${stage.number}: ${stage.shows}`;
  return ping === undefined ? heading : `${heading}\n$ ${ping.command}`;
}

function startSentences({ router, pid, port }: Start): string[] {
  return [
    `The proxy starts ${router} as process ${pid}.`,
    `${The(router)} says "I'm up" and gets its settings. It listens on UDP port ${port}.`,
  ];
}

function buildingTable(steps: readonly Step[]): string {
  const rows = steps.map((step) => [...columns(step.passage), contentsOf(step)] as const);
  return "How the circuit is built:\n" + table([...COLUMNS, "contents"], rows);
}

function passageTable(legs: readonly Passage[]): string {
  const rows = legs.map((leg) => [...columns(leg), sightOf(leg)] as const);
  return "The first ping, as it crosses each link:\n" +
    table([...COLUMNS, "what the receiver can read"], rows);
}

/** The heads of {@linkcode columns}. */
const COLUMNS = ["from", "to", "what", "bytes", "first bytes"] as const;

function columns(passage: Passage): [from: string, to: string, what: string, bytes: string, first: string] {
  const { from, to, bytes, first } = passage;
  return [from, to, nameOf(passage), `${bytes}`, first.replace(/.{8}(?=.)/g, "$& ")];
}

function linkTable(links: readonly LinkCount[]): string {
  const used = links.filter((link) => link.out + link.in > 0);
  if (used.length === 0) return "Nothing left the VM: no link of the lab carried a packet.";
  return "Packets on the links of the lab, including ARP:\n" + table(
    ["from", "by", "to", "out", "in"],
    used.map((link) => [link.from, link.interface, link.to, `${link.out}`, `${link.in}`]),
  );
}

/** A passage as an object: a packet of ping, or a cell that builds or ends a circuit. */
function passageObject(passage: Passage, step: Step | undefined): Record<string, unknown> {
  const { time, from, to, bytes, first, way, cell, round, sight } = passage;
  const readable = sight?.kind === "packet" ? sight.packet : undefined;
  const known = {
    event: way === undefined ? "cell" : "packet",
    time: new Date(time).toISOString(),
    round,
    from,
    to,
    cell: cell && cellName(cell.type),
    circuit: cell && formatCircuit(cell.circuit),
    bytes,
    first,
    source: readable?.source,
    destination: readable?.destination,
    type: readable?.type,
    contents: step && contentsOf(step).join(" "),
    receiver: sight && sightOf(passage).join(" "),
    watcher: watcherSight(passage),
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
}
