/**
 * Cells: what travels between neighbours, one a datagram.
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------+-----------------------------------------------+
 * |     Type      |                Reserved, zero                 |
 * +---------------+-----------------------------------------------+
 * |             Circuit id, local to the link, not 0              |
 * +---------------------------------------------------------------+
 * |  Body: by the type, see docs/protocol.md …                    |
 * ```
 *
 * Numbers are big-endian. The header is eight bytes so that the packet behind it starts on a word.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";

/** Byte offsets in a cell. */
const At = { type: 0, circuit: 4 } as const;

/** Bytes of a cell's header. */
export const CELL_HEADER = 8;

/** Cell types; the numbers are those of the classic command codes where the role is the same. */
export const CellType = {
  /** A packet on its way out, away from the proxy. */
  relayData: 0x51,
  /** Begin a circuit here, or extend it to the router that the body names. */
  extend: 0x52,
  /** It has been begun, or extended. */
  extendDone: 0x53,
  /** A packet on its way back, towards the proxy. */
  returnData: 0x54,
  /** A packet on its way out, sealed in a layer for each hop. */
  relaySealed: 0x61,
  /** For the last hop, sealed: extend the circuit. */
  sealedExtend: 0x62,
  /** From the last hop, sealed: it has been extended. */
  sealedExtendDone: 0x63,
  /** A packet on its way back, sealed in a layer by each hop. */
  returnSealed: 0x64,
  /** A message of the handshake that begins a sealed circuit. */
  handshake: 0x65,
  /** The circuit is no more. */
  destroy: 0x66,
} as const;

/** One of {@linkcode CellType}. */
export type CellType = (typeof CellType)[keyof typeof CellType];

/** Whether the datagram in `buffer` is a cell: long enough, reserved bytes zero, a circuit. Its type may be unknown. */
export function isCell(buffer: PacketBuffer): boolean {
  return buffer.length >= CELL_HEADER && (buffer.view.getUint32(buffer.start) & 0x00ff_ffff) === 0 &&
    buffer.view.getUint32(buffer.start + At.circuit) !== 0;
}

/** The type of a checked cell, which may be none of {@linkcode CellType}. */
export function cellType(buffer: PacketBuffer): number {
  return buffer.view.getUint8(buffer.start + At.type);
}

/** The circuit id of a checked cell, 1 to 2^32 - 1. */
export function cellCircuit(buffer: PacketBuffer): number {
  return buffer.view.getUint32(buffer.start + At.circuit);
}

/** Puts a cell header before the packet in `buffer`. */
export function wrapCell(buffer: PacketBuffer, type: CellType, circuit: number): void {
  buffer.start -= CELL_HEADER;
  buffer.view.setUint32(buffer.start, type << 24 >>> 0);
  buffer.view.setUint32(buffer.start + At.circuit, circuit);
}

/** Takes the header of a checked cell off, so that its body is left in `buffer`. */
export function unwrapCell(buffer: PacketBuffer): void {
  buffer.start += CELL_HEADER;
}

/** A circuit id as logs show it: lower-case hex, at least two digits, e.g. `0x01`. */
export function formatCircuit(circuit: number): string {
  return `0x${circuit.toString(16).padStart(2, "0")}`;
}
