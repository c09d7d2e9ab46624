/**
 * Packets for the micro benches. The tests' plain code makes them, so the timed code does not make
 * what checks it.
 *
 * @module
 */
import { echo, ipv4, pattern } from "../../tests/support/packets.ts";

/** Payload bytes, the same sizes as in the whole bench. */
export const SIZES = [64, 1400] as const;

/** An echo request from 10.5.51.2 to 10.5.51.7 with `size` bytes of payload. */
export function requestOf(size: number): Uint8Array<ArrayBuffer> {
  return ipv4({ dontFragment: true }, echo({ data: pattern(size) }));
}

/** The answer of the echo exit to {@linkcode requestOf} the same size. */
export function replyOf(size: number): Uint8Array<ArrayBuffer> {
  return ipv4(
    { source: "10.5.51.7", destination: "10.5.51.2" },
    echo({ type: 0, data: pattern(size) }),
  );
}
