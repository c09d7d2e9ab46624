/**
 * How a circuit was built, read from the cells that did it. Pure.
 *
 * ```
 *   proxy ── create ──► router A                           path so far: A
 *   proxy ◄─ created ── router A
 *   proxy ── extend ──► router A ── create ──► router B    path so far: A, B
 *   proxy ◄─ extended ─ router A ◄─ created ── router B
 * ```
 *
 * Sealed contents stay unreadable here, too. But a cell that extends a circuit causes the next
 * create cell, and the number of layers follows from how far the cell still has to go.
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

/** One cell that builds a circuit, and its meaning. */
export interface Step {
  readonly passage: Passage;
  readonly cell: Cell;
  readonly does: "create" | "created" | "extend" | "extended";
  /** Whether the circuit is sealed. */
  readonly isSealed: boolean;
  /** The routers of the circuit so far, in order. A `create` and its answer count the new one. */
  readonly path: readonly string[];
  /** Layers around the contents of the cell. */
  readonly layers: number;
  /** The next router, for an `extend`; undefined if it was never reached. */
  readonly next: string | undefined;
}

/**
 * The cell types that build circuits, and what a cell does. That may depend on its body, and on
 * whether the create cell of its circuit on this link was answered (undefined before it).
 */
const BUILDING: Readonly<
  Record<number, {
    readonly isSealed: boolean;
    readonly does: (isAnswered: boolean | undefined, body: Uint8Array) => Step["does"];
  }>
> = {
  [CellType.extend]: { isSealed: false, does: (_, body) => body.length === 0 ? "create" : "extend" },
  [CellType.extendDone]: { isSealed: false, does: (isAnswered) => isAnswered ? "extended" : "created" },
  [CellType.handshake]: {
    isSealed: true,
    does: (isAnswered) => isAnswered === undefined ? "create" : "created",
  },
  [CellType.sealedExtend]: { isSealed: true, does: () => "extend" },
  [CellType.sealedExtendDone]: { isSealed: true, does: () => "extended" },
};

/** The cells that built circuits, out of all passages. */
export function building(passages: readonly Passage[]): Step[] {
  /** Circuits by link and id: whether their creation has been answered. */
  const created = new Map<string, boolean>();
  let path: string[] = [];
  const steps: Step[] = [];
  for (const passage of passages) {
    const { from, to, cell } = passage;
    const row = BUILDING[cell?.type ?? -1];
    if (cell === undefined || row === undefined) continue;
    const link = `${[from, to].sort().join()} ${cell.circuit}`;
    const does = row.does(created.get(link), cell.body);
    if (does === "create") path = from === PROXY ? [to] : [...path, to];
    if (does === "create" || does === "created") created.set(link, does === "created");
    const layers = row.isSealed ? layersOf(does, passage, path) : 0;
    steps.push({ passage, cell, does, isSealed: row.isSealed, path, layers, next: undefined });
  }
  return steps.map((step, at) =>
    step.does === "extend"
      ? { ...step, next: steps.slice(at).find(({ does }) => does === "create")?.passage.to }
      : step
  );
}

/**
 * One layer for each router that the cell still reaches on its way out, or has passed on its way
 * back.
 */
function layersOf(does: Step["does"], { from, to }: Passage, path: readonly string[]): number {
  if (does === "extend") return path.length - path.indexOf(to);
  return does === "extended" ? path.length - 1 - path.indexOf(from) : 0;
}

/** The routers of the circuit that a packet took; those that it passed if no building was seen. */
export function pathBefore(steps: readonly Step[], legs: readonly Passage[]): readonly string[] {
  const off = legs.find(({ from, way }) => from === PROXY && way === "out")?.time ?? Infinity;
  return steps.findLast(({ passage }) => passage.time < off)?.path ?? pathOf(legs);
}

/** The contents of a cell, in one or two lines. */
export function contentsOf({ does, isSealed, cell, path, layers, next }: Step): string[] {
  const last = path.at(-1)!;
  const wrapped = `sealed in ${layers} layer${layers === 1 ? "" : "s"}`;
  switch (does) {
    case "create":
      return isSealed ? [`${cell.body.length} bytes: a handshake with ${last}`] : ["create a circuit here"];
    case "created":
      return isSealed ? [`${cell.body.length} bytes: ${last}'s answer`] : ["the circuit is created"];
    case "extend":
      return isSealed
        ? [`${wrapped} for ${last}:`, `extend to ${next ?? "?"}, with a handshake for it`]
        : [`extend to ${next ?? "?"}, at ${endpointIn(cell)}`];
    case "extended":
      return isSealed
        ? [`${wrapped} for the proxy:`, `${last}'s answer to the handshake`]
        : [`${last} is reached`];
  }
}

function endpointIn({ body }: Cell): string {
  const buffer = new PacketBuffer(body.length);
  buffer.load(body);
  const to = readExtend(buffer);
  return to === undefined ? "no address" : formatEndpoint(to);
}

/** The building in sentences, one for each router that was reached. */
export function buildingSentences(steps: readonly Step[]): string[] {
  const creations = steps.filter(({ does }) => does === "create");
  return creations.map(({ path, isSealed }, at) => {
    const router = path.at(-1)!;
    const way = path.slice(0, -1);
    const before = way.at(-1);
    if (before === undefined) {
      const gains = isSealed ? " A handshake gives the two of them keys that nobody else has." : "";
      return `The proxy creates ${at === 0 ? "a" : "another"} circuit at ${router}.${gains}`;
    }
    const learns = isSealed
      ? ` ${The(router)} sees that ${before} is before it, but not who created the circuit.`
      : "";
    return `Through ${listed(way)}, the proxy extends the circuit to ${router}.${learns}`;
  });
}
