/**
 * Packets for the micro benches, made by the tests' own plain hand: what is timed has no part in making what it is
 * checked with.
 *
 * @module
 */
import { echo, ipv4, pattern } from "../../tests/support/packets.ts";

/** Bytes of payload: those that the whole path is measured with, too. */
export const SIZES = [64, 1400] as const;

/** An echo request from 10.5.51.2 to 10.5.51.7 with `size` bytes of payload. */
export function requestOf(size: number): Uint8Array<ArrayBuffer> {
  return ipv4({ dontFragment: true }, echo({ data: pattern(size) }));
}

/** What the echo exit makes of {@linkcode requestOf} the same size. */
export function replyOf(size: number): Uint8Array<ArrayBuffer> {
  return ipv4(
    { source: "10.5.51.7", destination: "10.5.51.2" },
    echo({ type: 0, data: pattern(size) }),
  );
}
