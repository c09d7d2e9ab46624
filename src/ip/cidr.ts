/**
 * Blocks of IPv4 addresses (RFC 4632).
 *
 * @module
 */
import { addressBits, addressFromBits, formatIp, type IpAddress, parseIp, UNSPECIFIED } from "./address.ts";

/** A block, named by any address in it. */
export interface Cidr {
  /** An address in the block. */
  readonly address: IpAddress;
  /** The prefix length, 0 to 32. */
  readonly prefix: number;
}

/** 0.0.0.0/0: every address. */
export const EVERYWHERE: Cidr = { address: UNSPECIFIED, prefix: 0 };

/** Parses a block, e.g. `10.5.51.2/24`. Returns undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [host, prefix, ...rest] = text.split("/");
  const address = parseIp(host ?? "");
  if (address === undefined || prefix === undefined || rest.length > 0) return undefined;
  if (!/^(0|[1-9]\d?)$/.test(prefix) || Number(prefix) > 32) return undefined;
  return { address, prefix: Number(prefix) };
}

/** Formats a block, e.g. `10.5.51.2/24`. Keeps the host bits. */
export function formatCidr({ address, prefix }: Cidr): string {
  return `${formatIp(address)}/${prefix}`;
}

/** The bits that name a block, as a signed 32-bit number. */
function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : -1 << (32 - prefix);
}

/** The address at a place of the block: 0 is the first, -1 the last. The block must have it. */
export function addressAt(block: Cidr, place: number): IpAddress {
  const bits = addressBits(block.address);
  const mask = maskOf(block.prefix);
  return addressFromBits(((place < 0 ? (bits | ~mask) + 1 : bits & mask) + place) >>> 0);
}

/** The block's first address. */
export function network(block: Cidr): IpAddress {
  return addressAt(block, 0);
}

/** The block's last address. */
export function broadcast(block: Cidr): IpAddress {
  return addressAt(block, -1);
}

/**
 * The lowest host address of a tunnel's block that is not the tunnel's own. It stands for the
 * onion, e.g. in traceroute.
 */
export function hopOf(block: Cidr): IpAddress {
  const first = addressAt(block, 1);
  return first === block.address ? addressAt(block, 2) : first;
}

/** Whether the block contains this address. */
export function contains(block: Cidr, address: IpAddress): boolean {
  return ((addressBits(address) ^ addressBits(block.address)) & maskOf(block.prefix)) === 0;
}

/** Whether two blocks share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  const prefix = Math.min(a.prefix, b.prefix);
  return contains({ address: a.address, prefix }, b.address);
}

/**
 * Whether a host in the block can have this address. The first and the last are the network's and
 * the broadcast address, except in a /31 or /32 (RFC 3021).
 */
export function isHostOf(block: Cidr, address: IpAddress): boolean {
  if (!contains(block, address)) return false;
  return block.prefix >= 31 || (address !== network(block) && address !== broadcast(block));
}
