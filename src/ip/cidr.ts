/**
 * Blocks of IPv4 addresses (RFC 4632).
 *
 * @module
 */

/** A block, and one address in it: the address as an unsigned 32-bit number, and the prefix length, 0 to 32. */
export interface Cidr {
  /** An address in the block. */
  readonly address: number;
  /** The prefix length, 0 to 32. */
  readonly prefix: number;
}

/** The bits of an address that name its block, as an unsigned 32-bit number. */
export function netmask(prefix: number): number {
  return prefix === 0 ? 0 : (-1 << (32 - prefix)) >>> 0;
}

/** The block's first address. */
export function network(block: Cidr): number {
  return (block.address & netmask(block.prefix)) >>> 0;
}

/** The block's last address. */
export function broadcast(block: Cidr): number {
  return (block.address | ~netmask(block.prefix)) >>> 0;
}

/** Whether the block has this address. */
export function contains(block: Cidr, address: number): boolean {
  return ((address ^ block.address) & netmask(block.prefix)) === 0;
}

/** Whether two blocks share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  const prefix = Math.min(a.prefix, b.prefix);
  return contains({ address: a.address, prefix }, b.address);
}

/**
 * Whether a host of the block can have this address: any but the first and the last, which name the block itself
 * and everybody in it. Blocks of two and of one have hosts only (RFC 3021).
 */
export function isHostOf(block: Cidr, address: number): boolean {
  if (!contains(block, address)) return false;
  return block.prefix >= 31 || (address !== network(block) && address !== broadcast(block));
}
