/**
 * A cell as a small value, and cells in words, for programs that explain what crosses a link. The
 * packet path reads cells in place; see `cell.ts`.
 *
 * @module
 */
import { PacketBuffer } from "../buffer/packet_buffer.ts";
import { CELL_HEADER, cellCircuit, CellType, cellType, formatCircuit, isCell } from "./cell.ts";

/** A cell, as anyone on its link can see it. */
export interface Cell {
  /** One of `CellType`, or another number. */
  readonly type: number;
  /** Id of the circuit on this link, 1 to 2^32 - 1. */
  readonly circuit: number;
  /** What follows the header: a view into the datagram. */
  readonly body: Uint8Array;
}

/** Parses a datagram of a link. Returns undefined if it is not a cell. */
export function parseCell(datagram: Uint8Array): Cell | undefined {
  const buffer = new PacketBuffer(datagram.length);
  buffer.load(datagram);
  if (!isCell(buffer)) return undefined;
  return { type: cellType(buffer), circuit: cellCircuit(buffer), body: datagram.subarray(CELL_HEADER) };
}

/** The names of cell types, as docs/protocol.md has them. */
const NAMES: Readonly<Record<CellType, string>> = {
  [CellType.relayData]: "relay data",
  [CellType.extend]: "extend",
  [CellType.extendDone]: "extend done",
  [CellType.returnData]: "return data",
  [CellType.relaySealed]: "relay sealed data",
  [CellType.sealedExtend]: "sealed extend",
  [CellType.sealedExtendDone]: "sealed extend done",
  [CellType.returnSealed]: "return sealed data",
  [CellType.handshake]: "handshake",
  [CellType.destroy]: "destroy",
};

/** The name of a cell type, e.g. `relay data`; `type 0x7f` for an unknown one. */
export function cellName(type: number): string {
  return NAMES[type as CellType] ?? `type 0x${type.toString(16)}`;
}

/** A cell in words, e.g. `relay data, circuit 0x01`. */
export function formatCell({ type, circuit }: Pick<Cell, "type" | "circuit">): string {
  return `${cellName(type)}, circuit ${formatCircuit(circuit)}`;
}
