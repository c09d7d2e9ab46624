/**
 * The numbers of pcapng, the capture files of Wireshark and tcpdump (draft-ietf-opsawg-pcapng; in
 * this room, § without a source means its sections). A file is a sequence of blocks:
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------------------------------------------------------+
 * |                          Block Type                           |
 * +---------------------------------------------------------------+
 * |          Block Total Length, a multiple of 4 bytes            |
 * +---------------------------------------------------------------+
 * |  Body: fixed fields, data, options, each padded to 32 bits …  |
 * +---------------------------------------------------------------+
 * |                 Block Total Length once more                  |
 * +---------------------------------------------------------------+
 * ```
 *
 * Options, and the records of a Name Resolution Block, are a 16-bit code, a 16-bit length, and a
 * value padded to 32 bits. Code 0 ends the list (§3.5). The Section Header Block tells the byte
 * order.
 *
 * @module
 */
import type { IpAddress } from "../ip/address.ts";

/** Types of blocks (§4). Readers skip all others. */
export const BlockType = {
  /**
   * The same in either byte order, so that readers recognise it before they know the order (§4.1).
   */
  sectionHeader: 0x0a0d0d0a,
  /** §4.2. */
  interfaceDescription: 1,
  /** §4.5. */
  nameResolution: 4,
  /** §4.3. */
  enhancedPacket: 6,
} as const;

/** Codes of options. From 2 on, each type of block has its own codes. */
export const OptionCode = {
  /** opt_endofopt: ends the list (§3.5). */
  end: 0,
  /** opt_comment: text about the block (§3.5). */
  comment: 1,
  /** shb_userappl: the program that wrote the section (§4.1). */
  application: 4,
  /** if_name (§4.2). */
  interfaceName: 2,
  /** if_description (§4.2). */
  interfaceDescription: 3,
  /** if_tsresol: one byte, the negative power of ten of a second that timestamps count (§4.2). */
  timestampResolution: 9,
} as const;

/** Kinds of records in a Name Resolution Block (§4.5). */
export const NameRecord = {
  /** nrb_record_end. */
  end: 0,
  /** nrb_record_ipv4: an address of four bytes, then its names, each ended by a zero byte. */
  ipv4: 1,
} as const;

/** What the packets of an interface begin with (tcpdump.org/linktypes.html). */
export const LinkType = {
  /**
   * LINKTYPE_RAW: an IPv4 or IPv6 header. libpcap 1.10 refuses it in a file of several interfaces.
   */
  raw: 101,
  /** LINKTYPE_IPV4: an IPv4 header. */
  ipv4: 228,
} as const;

/** One of {@linkcode LinkType}. */
export type LinkType = (typeof LinkType)[keyof typeof LinkType];

/**
 * Units of a timestamp in a millisecond. Readers assume microseconds unless if_tsresol says
 * otherwise (§4.2).
 */
export const UNITS_PER_MS = 1000;

/** Shows the byte order of a section (§4.1). */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Major version 1, minor version 0: two 16-bit fields as one little-endian word (§4.1). */
export const VERSION_1_0 = 1;

/** Bytes of a block around its body: type, and length before and after. */
export const BLOCK_OVERHEAD = 12;

/** Bytes of fixed fields at the start of a body. Data and options follow. */
export const FixedFields = {
  /** Magic 4, versions 2 + 2, section length 8. */
  sectionHeader: 16,
  /** Link type 2, reserved 2, snapshot length 4. */
  interfaceDescription: 8,
  /** Interface 4, timestamp 4 + 4, lengths captured and on the wire 4 + 4. */
  enhancedPacket: 20,
} as const;

/** An IPv4 address and its names. */
export interface AddressNames {
  /** The address. */
  readonly address: IpAddress;
  /**
   * At least one. Readers choose which they show: Wireshark 4.0 takes the last.
   */
  readonly names: readonly [string, ...string[]];
}

/** `length` rounded up to a multiple of 4 (§3.6.2). */
export function padded(length: number): number {
  return (length + 3) & ~3;
}
