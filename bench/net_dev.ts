/**
 * Counters of network devices, as the kernel keeps them.
 *
 * @module
 */
import type { Place } from "./place.ts";

/** How many packets have left a place by a device so far. */
export async function packetsSent(place: Place, device: string, signal: AbortSignal): Promise<number> {
  return parsePacketsSent(await place.run(["cat", "/proc/net/dev"], { signal }), device);
}

/**
 * Reads `/proc/net/dev` (proc(5)): behind a device's name come eight counters of what it received, bytes and packets
 * first, then as many of what it sent.
 *
 * @throws Error if the device is not there
 */
export function parsePacketsSent(text: string, device: string): number {
  const line = text.split("\n").map((each) => each.trim()).find((each) => each.startsWith(`${device}:`));
  if (line === undefined) throw new Error(`There is no device ${device}`);
  const counters = line.slice(device.length + 1).trim().split(/\s+/).map(Number);
  return counters[8 + 1]!;
}
