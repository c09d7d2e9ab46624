/**
 * The time, cheap enough to be read for each packet.
 *
 * @module
 */
import { libcWith } from "./libc.ts";
import { cStruct, pointerTo } from "./pointer.ts";

const libc = libcWith("clock_gettime");

/** `<time.h>` */
const CLOCK_MONOTONIC = 1;

/**
 * A 64-bit `struct timespec { time_t tv_sec; long tv_nsec; }` as little-endian halves of 32 bits.
 */
const bytes = cStruct(4 * Int32Array.BYTES_PER_ELEMENT);
const timespec = new Int32Array(bytes.buffer, bytes.byteOffset, 4);
const At = { seconds: 0, nanoseconds: 2 } as const;
const pointer = pointerTo(bytes);

/**
 * Milliseconds since an arbitrary moment, with fractions. This is the clock of `performance.now()`
 * with another origin. It takes a third of the instructions, because it needs neither the runtime
 * nor a system call.
 */
export function monotonic(): number {
  libc.clock_gettime(CLOCK_MONOTONIC, pointer);
  // The low half of the seconds suffices for 68 years of uptime.
  return timespec[At.seconds]! * 1e3 + timespec[At.nanoseconds]! / 1e6;
}
