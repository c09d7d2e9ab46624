/**
 * The body of an extend cell: the next router, and the handshake message for it if the circuit is
 * sealed. In plain circuits the answer has the same body, which names the router that answers.
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------------------------------------------------------+
 * |           IPv4 address of the next router's data link         |
 * +-------------------------------+-------------------------------+
 * |       Its UDP port, not 0     |  Handshake, if sealed …       |
 * ```
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { type Endpoint, readAddress, writeAddress } from "../ip/address.ts";

/** Byte offsets in the body. */
const At = { address: 0, port: 4, handshake: 6 } as const;

/** Makes `buffer` hold the body of an extend cell, or of its plain answer. */
export function writeExtend(buffer: PacketBuffer, to: Endpoint, handshake: Uint8Array): void {
  buffer.hold(At.handshake + handshake.length);
  writeAddress(buffer.view, buffer.start + At.address, to.address);
  buffer.view.setUint16(buffer.start + At.port, to.port);
  buffer.bytes.set(handshake, buffer.start + At.handshake);
}

/**
 * Reads the body of an extend cell. The handshake stays in `buffer`.
 *
 * @returns the next router's data link; undefined if the body is too short or the port is 0
 */
export function readExtend(buffer: PacketBuffer): Endpoint | undefined {
  if (buffer.length < At.handshake) return undefined;
  const { view, start } = buffer;
  const port = view.getUint16(start + At.port);
  if (port === 0) return undefined;
  buffer.start += At.handshake;
  return { address: readAddress(view, start + At.address), port };
}
