/**
 * The tunnel as contenders see it: ours and those in C have the same one.
 *
 * @module
 */
import type { PacketTarget } from "../contender.ts";

/** The TUN device, and who is behind it. */
export const TUNNEL = {
  device: "tun1",
  /** What onion takes unless told otherwise. */
  address: "10.5.51.2/24",
  /** The same with more neighbours. */
  wide: "10.5.51.2/16",
  host: "10.5.51.7",
  /** The first of a thousand, where the tunnel is wide. */
  crowd: "10.5.60.1",
} as const;

/**
 * The way to who is behind it.
 *
 * @param wide whether that is a crowd
 */
export function behindTunnel(wide: boolean): PacketTarget {
  const { host: address, device, crowd } = TUNNEL;
  return { address, device, ...(wide ? { crowd } : {}) };
}

/** What is led into the tunnel in the practice network. */
export const CAPTURED = { table: 9, block: "128.0.0.0/8" } as const;

/** Bytes of the longest payload of an echo request that a TUN device of 1500 bytes takes in one piece. */
export const LONGEST_WHOLE: number = 1500 - 20 /* IPv4 */ - 8 /* ICMP */;
