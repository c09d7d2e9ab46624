/**
 * One ping's way in sentences, a leg each. Pure.
 *
 * @module
 */
import { CELL_HEADER } from "../cell/cell.ts";
import type { Stage } from "../config/stages.ts";
import { IcmpType } from "../ip/icmp.ts";
import { formatPacket, kindOf, NOBODY } from "../ip/packet.ts";
import { listed, PING, PROXY, The, the, WORLD } from "./parties.ts";
import type { Passage } from "./passages.ts";

/**
 * What happened to a packet, leg by leg.
 *
 * @param path the routers of its circuit, in order, whether it has come to all of them or not
 */
export function journey(legs: readonly Passage[], path: readonly string[], stage: Stage): string[] {
  const sentences = legs.map((leg, at) => sentence(leg, legs[at - 1], path, stage));
  return legs.length === 0 || legs.at(-1)!.to === PING ? sentences : [...sentences, "Nothing comes back."];
}

function sentence(
  leg: Passage,
  before: Passage | undefined,
  path: readonly string[],
  stage: Stage,
): string {
  const { from, to, way, packet } = leg;
  if (from === PING) {
    return `ping asks for ${packet!.destination}. The kernel leads the packet into the tunnel, to ${
      the(to)
    }.`;
  }
  if (to === PING) {
    const opened = stage.circuits === "sealed" ? `takes ${layers(path)} off, ` : "";
    const joined = opened === "" ? "writes it" : "writes the packet";
    return `${The(from)} ${opened}${joined} into the tunnel, and the kernel gives it to ping.`;
  }
  if (from === WORLD) {
    const { source, destination, type } = packet!;
    const says = type === IcmpType.echoReply ? "answers" : `says: ${kindOf(packet!)}`;
    return `${source} ${says}, and ${the(to)} gets that, addressed to ${destination}.`;
  }
  if (stage.circuits === "sealed") return sealedSentence(leg, path);
  if (to === WORLD) {
    return `${The(from)} sends it into the world by an interface of its own, as ${packet!.source}.`;
  }
  if (way === "out") {
    return from === PROXY || stage.circuits === "given"
      ? `${The(from)} hands it on to ${the(to)}.`
      : `${The(from)} reads it, writes its own address ${packet?.source} over the sender's, ` +
        `and hands it on to ${the(to)}.`;
  }
  return before?.way === "out"
    ? `${The(from)} answers itself, in the place of ${packet?.source}, and returns that to ${the(to)}.`
    : `${The(from)} returns it to ${the(to)}, addressed to ${packet?.destination}.`;
}

function sealedSentence({ from, to, way, packet }: Passage, path: readonly string[]): string {
  if (from === PROXY) {
    return `The proxy writes ${NOBODY} over the sender's address, seals the packet in ${layers(path)}, for ` +
      `${listed(path.toReversed())}, and hands it on to ${the(to)}.`;
  }
  if (to === WORLD) {
    return `${The(from)} takes the last layer off, learns where the packet goes and not who asks, ` +
      `and sends it into the world as ${packet!.source}.`;
  }
  if (way === "out") {
    return `${The(from)} takes its layer off, learns nothing but where it goes next, and hands it on to ${
      the(to)
    }.`;
  }
  return from === path.at(-1)
    ? `${The(from)} seals it in a layer of its own, and returns that to ${the(to)}.`
    : `${The(from)} cannot read it, puts a layer of its own around it, and returns that to ${the(to)}.`;
}

function layers(path: readonly string[]): string {
  return path.length === 1 ? "one layer" : `${path.length} layers`;
}

/** What whoever gets a passage can read of it, in one line or two; none where that is not known. */
export function sightOf({ sight, cell, packet }: Passage): string[] {
  if (sight === undefined) return [];
  if (sight.kind === "sealed") {
    return ["nothing but where it goes next:", `${sight.bytes} bytes sealed for others`];
  }
  const text = formatPacket(sight.packet);
  const hides = cell !== undefined && packet === undefined && sight.packet.source === NOBODY;
  return hides ? [`${text}:`, "not who asks"] : [text];
}

/** What somebody who only watches can read of a passage. */
export function watcherSight({ packet }: Passage): string {
  return packet === undefined ? "size and circuit id" : formatPacket(packet);
}

/** What is to be learned from one ping's way. */
export function moral(
  legs: readonly Passage[],
  path: readonly string[],
  { circuits }: Stage,
): string[] {
  if (circuits !== "sealed") {
    return ["Nothing is sealed: everybody on the way, and whoever watches a link, can read everything."];
  }
  return [
    ...sizes(legs, path),
    "Whoever watches a link can read when a cell passes, its size and its circuit id, and nothing of what is in it.",
  ];
}

/** Where the bytes of a sealed cell come from, which the first one tells. */
function sizes(legs: readonly Passage[], path: readonly string[]): string[] {
  const cell = legs.find(({ from, way, cell }) => from === PROXY && way === "out" && cell !== undefined);
  const packet = legs[0]!.bytes;
  if (cell === undefined) return [];
  const layer = (cell.bytes - CELL_HEADER - packet) / path.length;
  return [
    `${cell.bytes} bytes are ${packet} of the packet, ${CELL_HEADER} of a cell's header, ` +
    `and ${path.length} times ${layer} of a layer's counter and tag.`,
  ];
}
