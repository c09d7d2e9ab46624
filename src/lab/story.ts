/**
 * What a demo has to tell, in three forms: a narrated table, a Mermaid sequence diagram, objects. Pure.
 *
 * @module
 */
import type { Stage } from "../config/stages.ts";
import { IcmpType, type PacketPassage, type Passage, PING, PROXY, type Start, WORLD } from "./passages.ts";

/** Everything that a demo has seen. */
export interface Story {
  readonly stage: Stage;
  readonly passages: readonly Passage[];
  /** What ping was told to do and what came of it; nothing where the stage carries no packets. */
  readonly ping: PingResult | undefined;
  /** What passed over each link of the lab meanwhile. */
  readonly links: readonly LinkCount[];
}

/** A ping, and its own figures. */
export interface PingResult {
  /** As somebody would type it. */
  readonly command: string;
  readonly sent: number;
  readonly received: number;
  /** Milliseconds; nothing where no reply came. */
  readonly average: number | undefined;
}

/** Packets over one link, ARP's included. */
export interface LinkCount {
  readonly from: string;
  /** The interface at `from`. */
  readonly interface: string;
  readonly to: string;
  readonly out: number;
  readonly in: number;
}

/** The story as people read it in a terminal. */
export function storyText(story: Story): string {
  const packets = story.passages.filter((passage) => passage.kind === "packet");
  const first = packets.filter(({ round }) => round === 1);
  return [
    title(story),
    list([...starts(story).flatMap(startSentences), ...journey(first)]),
    ...packets.length > 0 ? [packetTable(packets)] : [],
    ...story.ping === undefined ? [] : [pingSentence(story.ping)],
    ...story.ping === undefined ? [] : [linkTable(story.links)],
  ].join("\n\n");
}

/** The story as a Mermaid sequence diagram, of the first packet that ping has sent. */
export function storyMermaid(story: Story): string {
  const first = story.passages.filter((passage) => passage.kind === "packet").filter(({ round }) =>
    round === 1
  );
  const parties = [
    ...story.ping === undefined ? [] : [PING],
    PROXY,
    ...starts(story).map(({ router }) => router),
    ...first.some(({ to }) => to === WORLD) ? [WORLD] : [],
  ];
  const lines = [
    ...parties.map((party) => `participant ${alias(party)} as ${party}`),
    ...starts(story).flatMap(({ router, pid, port }) => [
      `${PROXY}->>${alias(router)}: starts it, pid ${pid}`,
      `${alias(router)}-->>${PROXY}: I'm up, port ${port}`,
    ]),
    ...first.map((packet) =>
      `${alias(packet.from)}->>${alias(packet.to)}: ${packet.source} → ${packet.destination}, ${
        kindOf(packet)
      }`
    ),
    ...story.ping === undefined ? [] : [`Note over ${PING}: ${pingSentence(story.ping)}`],
  ];
  return ["sequenceDiagram", ...lines.map((line) => `  ${line}`)].join("\n");
}

/** The story as objects, in order. */
export function storyObjects(story: Story): Record<string, unknown>[] {
  return [
    { event: "demo", stage: story.stage.number },
    ...story.passages.map(({ kind, ...passage }) => ({ event: kind, ...passage })),
    ...story.ping === undefined ? [] : [{ event: "ping", ...story.ping }],
    ...story.links.map((link) => ({ event: "link", ...link })),
  ];
}

function title({ stage, ping }: Story): string {
  const heading = `Stage ${stage.number}: ${stage.shows}`;
  return ping === undefined ? heading : `${heading}\n$ ${ping.command}`;
}

function starts({ passages }: Story): Start[] {
  return passages.filter((passage) => passage.kind === "start");
}

function startSentences({ router, pid, port }: Start): string[] {
  return [
    `The proxy starts ${router}, a process of its own with the pid ${pid}.`,
    `${The(router)} says "I'm up", and is told what to be. It listens on UDP port ${port}.`,
  ];
}

/** What happened to the first packet that ping has sent, leg by leg. */
function journey(legs: readonly PacketPassage[]): string[] {
  const sentences = legs.map((leg, index) => sentence(leg, legs[index - 1]));
  return legs.length === 0 || legs.at(-1)!.to === PING ? sentences : [...sentences, "Nothing comes back."];
}

function sentence(leg: PacketPassage, before: PacketPassage | undefined): string {
  const { from, to, source, destination, type } = leg;
  if (from === PING) {
    return `ping asks for ${destination}. The kernel leads the packet into the tunnel, to ${the(to)}.`;
  }
  if (to === PING) return `${The(from)} writes it into the tunnel, and the kernel gives it to ping.`;
  if (to === WORLD) return `${The(from)} sends it into the world by an interface of its own, as ${source}.`;
  if (from === WORLD) return `${source} answers, and ${the(to)} gets that, addressed to ${destination}.`;
  if (type === IcmpType.echoRequest) return `${The(from)} hands it on to ${the(to)}.`;
  return before?.type === IcmpType.echoRequest
    ? `${The(from)} answers itself, in the place of ${source}, and returns that to ${the(to)}.`
    : `${The(from)} returns it to ${the(to)}, addressed to ${destination}.`;
}

function pingSentence({ sent, received, average }: PingResult): string {
  const time = average === undefined ? "" : `, after ${average} ms on average`;
  return `${received} of ${sent} pings were answered${time}.`;
}

function list(sentences: readonly string[]): string {
  return sentences.map((sentence, index) => `${`${index + 1}.`.padStart(3)} ${sentence}`).join("\n");
}

function packetTable(packets: readonly PacketPassage[]): string {
  return table(
    ["ping", "from", "to", "source", "destination", "ICMP"],
    packets.map((packet) => [
      `${packet.round}`,
      packet.from,
      packet.to,
      packet.source,
      packet.destination,
      kindOf(packet),
    ]),
  );
}

function linkTable(links: readonly LinkCount[]): string {
  const used = links.filter((link) => link.out + link.in > 0);
  if (used.length === 0) return "Nothing left the VM: no link of the lab carried a packet.";
  return "Packets on the links of the lab, ARP's included:\n" + table(
    ["from", "by", "to", "out", "in"],
    used.map((link) => [link.from, link.interface, link.to, `${link.out}`, `${link.in}`]),
  );
}

function kindOf({ type }: PacketPassage): string {
  if (type === IcmpType.echoRequest) return "echo request";
  if (type === IcmpType.echoReply) return "echo reply";
  return `type ${type}`;
}

/** Columns as wide as their widest cell, two blanks between them. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")}`.trimEnd())
    .join("\n");
}

/** A participant's name in Mermaid's syntax, which has no blanks. */
function alias(party: string): string {
  return party.replaceAll(" ", "");
}

/** A party within a sentence. */
function the(party: string): string {
  return party === PROXY ? `the ${party}` : party;
}

/** A party at the beginning of a sentence. */
function The(party: string): string {
  const text = the(party);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
