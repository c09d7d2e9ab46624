/**
 * Dialects: a circuit is plain, and its cells can be read by everybody, or sealed, with a layer for each hop. What they
 * have in common is the way a circuit is built and used; what differs is in this table.
 *
 * ```
 *   proxy ── begin ──► router A                       one cell over one link
 *   proxy ◄── begun ── router A
 *   proxy ── extend ─► router A ── begin ──► router B  relayed by the circuit so far
 *   proxy ◄─ extended─ router A ◄── begun ── router B
 * ```
 *
 * @module
 */
import { MAX_PACKET } from "../buffer/packet_buffer.ts";
import { CELL_HEADER, CellType } from "../cell/cell.ts";
import { LAYER_OVERHEAD } from "../crypto/layer.ts";

/** The cell types of one kind of circuit, and what a hop costs. */
export interface Dialect {
  /** Whether every hop has a layer of its own. */
  readonly isSealed: boolean;
  /** Begins a circuit at a neighbour. */
  readonly begin: CellType;
  /** Answers that. */
  readonly begun: CellType;
  /** Has the last hop begin it at the next one. */
  readonly extend: CellType;
  /** Answers that. */
  readonly extended: CellType;
  /** Carries a packet away from the proxy. */
  readonly relay: CellType;
  /** Carries a packet towards the proxy. */
  readonly back: CellType;
  /** Bytes that each hop adds to a cell. */
  readonly overhead: number;
}

/** Circuits that everybody on the way can read. */
export const PLAIN: Dialect = {
  isSealed: false,
  begin: CellType.extend,
  begun: CellType.extendDone,
  extend: CellType.extend,
  extended: CellType.extendDone,
  relay: CellType.relayData,
  back: CellType.returnData,
  overhead: 0,
};

/** Circuits with a layer for each hop. */
export const SEALED: Dialect = {
  isSealed: true,
  begin: CellType.handshake,
  begun: CellType.handshake,
  extend: CellType.sealedExtend,
  extended: CellType.sealedExtendDone,
  relay: CellType.relaySealed,
  back: CellType.returnSealed,
  overhead: LAYER_OVERHEAD,
};

/**
 * Bytes of the longest IP packet that a circuit carries, over links that take IP packets of `linkMtu` bytes:
 *
 * - the link's MTU, at most what an IPv4 length field holds
 * - less 20 of the IPv4 header, and 8 of the UDP header
 * - less 8 of the cell's header
 * - less, for each hop of a sealed circuit, 8 of its counter and 16 of its tag
 */
export function longestPacket(linkMtu: number, dialect: Dialect, hops: number): number {
  return Math.min(linkMtu, MAX_PACKET) - 20 - 8 - CELL_HEADER - hops * dialect.overhead;
}
