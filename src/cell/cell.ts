/**
 * Cells: the messages between neighbours, one in each datagram.
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------+-----------------------------------------------+
 * |     Type      |                Reserved, zero                 |
 * +---------------+-----------------------------------------------+
 * |             Circuit id, local to the link, not 0              |
 * +---------------------------------------------------------------+
 * |  Body: depends on the type, see docs/protocol.md …            |
 * ```
 *
 * Numbers are big-endian. The header has 8 bytes, so the packet behind it is aligned to a word.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";

/** Byte offsets in a cell. */
const At = { type: 0, circuit: 4 } as const;

/** Length of a cell header, in bytes. */
export const CELL_HEADER = 8;

/** Cell types. Those that the classic protocol has too use its command codes. */
export const CellType = {
  /** A packet outward, away from the proxy. */
  relayData: 0x51,
  /** Creates a circuit here, or extends it to the router that the body names. */
  extend: 0x52,
  /** Answers {@linkcode CellType.extend}: the circuit has been created or extended. */
  extendDone: 0x53,
  /** A packet homeward, towards the proxy. */
  returnData: 0x54,
  /** A packet outward, sealed in one layer for each hop. */
  relaySealed: 0x61,
  /** Tells the last hop, sealed, to extend the circuit. */
  sealedExtend: 0x62,
  /** The last hop says, sealed, that the circuit has been extended. */
  sealedExtendDone: 0x63,
  /** A packet homeward, sealed in one layer by each hop. */
  returnSealed: 0x64,
  /** A handshake message, which creates a sealed circuit. */
  handshake: 0x65,
  /** Tears the circuit down. */
  destroy: 0x66,
} as const;

/** One of {@linkcode CellType}. */
export type CellType = (typeof CellType)[keyof typeof CellType];

/**
 * Whether the datagram in `buffer` is a cell: long enough, reserved bytes zero, circuit id not 0.
 * Its type may still be unknown.
 */
export function isCell(buffer: PacketBuffer): boolean {
  return buffer.length >= CELL_HEADER && (buffer.view.getUint32(buffer.start) & 0x00ff_ffff) === 0 &&
    buffer.view.getUint32(buffer.start + At.circuit) !== 0;
}

/** The type of a checked cell; possibly none of {@linkcode CellType}. */
export function cellType(buffer: PacketBuffer): number {
  return buffer.view.getUint8(buffer.start + At.type);
}

/** The circuit id of a checked cell, 1 to 2^32 - 1. */
export function cellCircuit(buffer: PacketBuffer): number {
  return buffer.view.getUint32(buffer.start + At.circuit);
}

/** Prepends a cell header to the packet in `buffer`. */
export function wrapCell(buffer: PacketBuffer, type: CellType, circuit: number): void {
  buffer.start -= CELL_HEADER;
  buffer.view.setUint32(buffer.start, type << 24 >>> 0);
  buffer.view.setUint32(buffer.start + At.circuit, circuit);
}

/** Removes the header of a checked cell. The body stays in `buffer`. */
export function unwrapCell(buffer: PacketBuffer): void {
  buffer.start += CELL_HEADER;
}

/** Formats a circuit id as in logs: lower-case hex, at least two digits, e.g. `0x01`. */
export function formatCircuit(circuit: number): string {
  return `0x${circuit.toString(16).padStart(2, "0")}`;
}
