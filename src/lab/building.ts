/**
 * How a circuit was built, from the cells that did it. Pure.
 *
 * ```
 *   proxy ── begin ──► router A                            the path so far: A
 *   proxy ◄── begun ── router A
 *   proxy ── extend ─► router A ── begin ──► router B      the path so far: A, B
 *   proxy ◄─ extended─ router A ◄── begun ── router B
 * ```
 *
 * What is sealed cannot be read here either. But a cell that extends a circuit causes the next one that begins it at
 * another router, and how many layers a cell has follows from how far it still has to go.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import { CellType } from "../cell/cell.ts";
import { readExtend } from "../cell/extend.ts";
import { listed, PROXY, The } from "./parties.ts";
import type { Cell } from "../cell/parse.ts";
import { type Passage, pathOf } from "./passages.ts";
import { formatEndpoint } from "../ip/address.ts";

/** One cell that builds a circuit, and what that means. */
export interface Step {
  readonly passage: Passage;
  readonly cell: Cell;
  readonly does: "begin" | "begun" | "extend" | "extended";
  /** Whether the circuit gets layers. */
  readonly isSealed: boolean;
  /** The routers that the circuit has by then, in order; with a `begin` and what answers it, the new one is the last. */
  readonly path: readonly string[];
  /** The layers around what is in the cell. */
  readonly layers: number;
  /** The router that is to be the next one, of an `extend`; absent where it never was. */
  readonly next: string | undefined;
}

/** The cells that build circuits, and whether those are sealed. */
const BUILDING: Readonly<Record<number, { readonly isSealed: boolean }>> = {
  [CellType.extend]: { isSealed: false },
  [CellType.extendDone]: { isSealed: false },
  [CellType.handshake]: { isSealed: true },
  [CellType.sealedExtend]: { isSealed: true },
  [CellType.sealedExtendDone]: { isSealed: true },
};

/** The building of circuits, from all that passed. */
export function building(passages: readonly Passage[]): Step[] {
  const cells = passages.flatMap((passage) =>
    passage.cell !== undefined && passage.cell.type in BUILDING ? [{ passage, cell: passage.cell }] : []
  );
  /** Links with their circuits that have been begun: true where that has been answered, too. */
  const begun = new Map<string, boolean>();
  let path: string[] = [];
  const steps: Step[] = [];
  for (const { passage, cell } of cells) {
    const link = `${[passage.from, passage.to].sort().join()} ${cell.circuit}`;
    const { isSealed } = BUILDING[cell.type]!;
    const does = deed(cell, begun.get(link));
    if (does === "begin") {
      begun.set(link, false);
      path = passage.from === PROXY ? [passage.to] : [...path, passage.to];
    }
    if (does === "begun") begun.set(link, true);
    steps.push({
      passage,
      cell,
      does,
      isSealed,
      path,
      layers: isSealed ? layersOf(does, passage, path) : 0,
      next: undefined,
    });
  }
  return steps.map((step, at) =>
    step.does === "extend"
      ? { ...step, next: steps.slice(at).find(({ does }) => does === "begin")?.passage.to }
      : step
  );
}

/** @param isAnswered whether the beginning of its circuit on its link has been answered; undefined before that */
function deed({ type, body }: Cell, isAnswered: boolean | undefined): Step["does"] {
  switch (type) {
    case CellType.handshake:
      return isAnswered === undefined ? "begin" : "begun";
    case CellType.extend:
      return body.length === 0 ? "begin" : "extend";
    case CellType.extendDone:
      return isAnswered ? "extended" : "begun";
    default:
      return type === CellType.sealedExtend ? "extend" : "extended";
  }
}

/** A layer for every router that it comes to on its way out, or has come by on its way back. */
function layersOf(does: Step["does"], { from, to }: Passage, path: readonly string[]): number {
  if (does === "extend") return path.length - path.indexOf(to);
  return does === "extended" ? path.length - 1 - path.indexOf(from) : 0;
}

/** The routers of the circuit that had been built when a packet set off; those that it passed, where none was built. */
export function pathBefore(steps: readonly Step[], legs: readonly Passage[]): readonly string[] {
  const off = legs.find(({ from, way }) => from === PROXY && way === "out")?.time ?? Infinity;
  return steps.findLast(({ passage }) => passage.time < off)?.path ?? pathOf(legs);
}

/** What was in a cell, in one line or two. */
export function contentsOf({ does, isSealed, cell, path, layers, next }: Step): string[] {
  const last = path.at(-1)!;
  const wrapped = `in ${layers} layer${layers === 1 ? "" : "s"}`;
  switch (does) {
    case "begin":
      return isSealed ? [`${cell.body.length} bytes: a handshake with ${last}`] : ["nothing but: begin here"];
    case "begun":
      return isSealed
        ? [`${cell.body.length} bytes: ${last}'s answer to it`]
        : ["nothing: it has begun here"];
    case "extend":
      return isSealed
        ? [`${wrapped}, for ${last} to read:`, `extend to ${next ?? "?"}, and a handshake with it`]
        : [`extend to ${next ?? "?"}, at ${placeIn(cell)}`];
    case "extended":
      return isSealed
        ? [`${wrapped}, for the proxy to read:`, `${last}'s answer to the handshake`]
        : [`nothing: ${last} has been reached`];
  }
}

function placeIn({ body }: Cell): string {
  const buffer = new PacketBuffer(body.length);
  buffer.load(body);
  const to = readExtend(buffer);
  return to === undefined ? "no place" : formatEndpoint(to);
}

/** The building in sentences, one for each router that it came to. */
export function buildingSentences(steps: readonly Step[]): string[] {
  const begins = steps.filter(({ does }) => does === "begin");
  return begins.map(({ path, isSealed }, at) => {
    const router = path.at(-1)!;
    const way = path.slice(0, -1);
    const before = way.at(-1);
    if (before === undefined) {
      const gains = isSealed ? " By a handshake the two get keys that nobody else has." : "";
      return `The proxy begins ${at === 0 ? "a" : "another"} circuit at ${router}.${gains}`;
    }
    const learns = isSealed ? ` ${The(router)} learns that ${before} is before it, not who began.` : "";
    return `By way of ${listed(way)}, the proxy extends the circuit to ${router}.${learns}`;
  });
}
