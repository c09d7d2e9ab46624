/**
 * The way of one ping in sentences, one for each leg. Pure.
 *
 * @module
 */
import { hasLayers, isBuilt } from "../circuit/kind.ts";
import { CELL_HEADER } from "../cell/cell.ts";
import type { Stage } from "../config/stages.ts";
import { IcmpType } from "../ip/icmp.ts";
import { formatPacket, kindOf, NOBODY } from "../ip/packet.ts";
import { listed, PING, PROXY, The, the, WORLD } from "./parties.ts";
import type { Passage } from "./passages.ts";

/**
 * Tells what happened to a packet, leg by leg.
 *
 * @param path the routers of its circuit in order, even those that it never reached
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
    return `ping sends a request to ${packet!.destination}. ` +
      `The kernel routes the packet into the tunnel, to ${the(to)}.`;
  }
  if (to === PING) {
    const opened = hasLayers(stage.circuits) ? `removes ${layers(path)}, ` : "";
    const joined = opened === "" ? "writes it" : "writes the packet";
    return `${The(from)} ${opened}${joined} to the tunnel, and the kernel delivers it to ping.`;
  }
  if (from === WORLD) {
    const { source, destination, type } = packet!;
    const says = type === IcmpType.echoReply ? "answers" : `reports "${kindOf(packet!)}"`;
    return `${source} ${says}, and ${the(to)} receives the packet at ${destination}.`;
  }
  if (hasLayers(stage.circuits)) return sealedSentence(leg, path);
  if (to === WORLD) {
    return `${The(from)} sends it to the world through its own interface, as ${packet!.source}.`;
  }
  if (way === "out") {
    return from === PROXY || !isBuilt(stage.circuits)
      ? `${The(from)} sends it to ${the(to)}.`
      : `${The(from)} reads it, replaces the source by its own address ${packet?.source}, ` +
        `and sends it to ${the(to)}.`;
  }
  return before?.way === "out"
    ? `${The(from)} answers in the place of ${packet?.source}, and returns the reply to ${the(to)}.`
    : `${The(from)} returns it to ${the(to)}, addressed to ${packet?.destination}.`;
}

function sealedSentence({ from, to, way, packet }: Passage, path: readonly string[]): string {
  if (from === PROXY) {
    return `The proxy replaces the source by ${NOBODY}, seals the packet in ${layers(path)}, for ` +
      `${listed(path.toReversed())}, and sends it to ${the(to)}.`;
  }
  if (to === WORLD) {
    return `${The(from)} removes the last layer, learns the destination but not the sender, ` +
      `and sends the packet to the world as ${packet!.source}.`;
  }
  if (way === "out") {
    return `${The(from)} removes its layer, learns only the next hop, and sends the rest to ${the(to)}.`;
  }
  return from === path.at(-1)
    ? `${The(from)} seals it in a layer, and returns it to ${the(to)}.`
    : `${The(from)} cannot read it, adds a layer, and returns it to ${the(to)}.`;
}

function layers(path: readonly string[]): string {
  return path.length === 1 ? "one layer" : `${path.length} layers`;
}

/** What the receiver of a passage can read, in one or two lines; none if that is unknown. */
export function sightOf({ sight, cell, packet }: Passage): string[] {
  if (sight === undefined) return [];
  if (sight.kind === "sealed") {
    return ["only the next hop:", `${sight.bytes} bytes are sealed for others`];
  }
  const text = formatPacket(sight.packet);
  const hides = cell !== undefined && packet === undefined && sight.packet.source === NOBODY;
  return hides ? [`${text}:`, "but not the sender"] : [text];
}

/** What an observer of the link can read of a passage. */
export function watcherSight({ packet }: Passage): string {
  return packet === undefined ? "size and circuit id" : formatPacket(packet);
}

/** The conclusions from one ping's way. */
export function moral(
  legs: readonly Passage[],
  path: readonly string[],
  { circuits }: Stage,
): string[] {
  if (!hasLayers(circuits)) {
    return ["Nothing is sealed: every router, and anyone who watches a link, can read everything."];
  }
  return [
    ...sizes(legs, path),
    "Anyone who watches a link sees when a cell passes, its size and its circuit id, but nothing of its contents.",
  ];
}

/** The sum of the bytes of a sealed cell, taken from the first one. */
function sizes(legs: readonly Passage[], path: readonly string[]): string[] {
  const cell = legs.find(({ from, way, cell }) => from === PROXY && way === "out" && cell !== undefined);
  const packet = legs[0]!.bytes;
  if (cell === undefined) return [];
  const layer = (cell.bytes - CELL_HEADER - packet) / path.length;
  return [
    `${cell.bytes} bytes are ${packet} of the packet, ${CELL_HEADER} of the cell header, ` +
    `and ${path.length} times ${layer} of a layer's counter and tag.`,
  ];
}
