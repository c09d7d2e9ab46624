/**
 * The tunnel of contenders, the same for onion and the C programs.
 *
 * @module
 */
import type { PacketTarget } from "../contender.ts";

/** The TUN device, and the hosts behind it. */
export const TUNNEL = {
  device: "tun1",
  /** The default of onion. */
  address: "10.5.51.2/24",
  /** The same with more hosts. */
  wide: "10.5.51.2/16",
  host: "10.5.51.7",
  /** The first of a thousand addresses in a wide tunnel. */
  crowd: "10.5.60.1",
} as const;

/**
 * The way to the hosts behind the tunnel.
 *
 * @param wide whether that is a crowd
 */
export function behindTunnel(wide: boolean): PacketTarget {
  const { host: address, device, crowd } = TUNNEL;
  return { address, device, ...(wide ? { crowd } : {}) };
}

/** The destinations that enter the tunnel in the practice network. */
export const CAPTURED = { table: 9, block: "128.0.0.0/8" } as const;

/** Length in bytes of the longest echo payload that a TUN device of MTU 1500 takes in one piece. */
export const LONGEST_WHOLE: number = 1500 - 20 /* IPv4 */ - 8 /* ICMP */;
