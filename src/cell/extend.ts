/**
 * The body of a cell that extends a circuit: to whom, and what to hand to them. Where circuits are plain, the answer has
 * the same body and says who it is from.
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------------------------------------------------------+
 * |           IPv4 address of the next router's data link         |
 * +-------------------------------+-------------------------------+
 * |       Its UDP port, not 0     |  Handshake, in a sealed one … |
 * ```
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { type Endpoint, readAddress, writeAddress } from "../ip/address.ts";

/** Byte offsets in the body. */
const At = { address: 0, port: 4, handshake: 6 } as const;

/** Makes `buffer` hold the body of an extend cell, or of its answer in the clear. */
export function writeExtend(buffer: PacketBuffer, to: Endpoint, handshake: Uint8Array): void {
  buffer.hold(At.handshake + handshake.length);
  writeAddress(buffer.view, buffer.start + At.address, to.address);
  buffer.view.setUint16(buffer.start + At.port, to.port);
  buffer.bytes.set(handshake, buffer.start + At.handshake);
}

/**
 * Reads such a body, of which the handshake is left in `buffer`.
 *
 * @returns undefined where it is none: too short, or without a port
 */
export function readExtend(buffer: PacketBuffer): Endpoint | undefined {
  if (buffer.length < At.handshake) return undefined;
  const { view, start } = buffer;
  const port = view.getUint16(start + At.port);
  if (port === 0) return undefined;
  buffer.start += At.handshake;
  return { address: readAddress(view, start + At.address), port };
}
