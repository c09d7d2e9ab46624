/**
 * Counters of network devices, as the kernel keeps them.
 *
 * @module
 */
import type { Place } from "./place.ts";

/** How many packets have left a place through a device so far. */
export async function packetsSent(place: Place, device: string, signal: AbortSignal): Promise<number> {
  return parsePacketsSent(await place.run(["cat", "/proc/net/dev"], { signal }), device);
}

/**
 * Reads `/proc/net/dev` (proc(5)). A device's name is followed by eight counters of received data,
 * bytes and packets first, and then by eight of sent data.
 *
 * @throws Error if the device does not exist
 */
export function parsePacketsSent(text: string, device: string): number {
  const line = text.split("\n").map((each) => each.trim()).find((each) => each.startsWith(`${device}:`));
  if (line === undefined) throw new Error(`There is no device ${device}`);
  const counters = line.slice(device.length + 1).trim().split(/\s+/).map(Number);
  return counters[8 + 1]!;
}
