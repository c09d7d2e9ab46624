/**
 * Writes pcapng, little-endian (draft-ietf-opsawg-pcapng): blocks come out as bytes, and the caller
 * puts them one behind the other into a file or a pipe. Its figures are in §3.1 (block), §3.5
 * (options), §4.1 (section), §4.2 (interface), §4.3 (packet) and §4.5 (names).
 *
 * ```
 * header():   Section Header | Interface Description, one each | Name Resolution, if there are names
 * packet():   Enhanced Packet
 * names():    Name Resolution, for names that come up later
 * ```
 *
 * A file is whole after every block, so a run that is killed loses what it was writing and nothing
 * else.
 *
 * @module
 */
import {
  type AddressNames,
  BLOCK_OVERHEAD,
  BlockType,
  BYTE_ORDER_MAGIC,
  type LinkType,
  NameRecord,
  OptionCode,
  padded,
  UNITS_PER_MS,
  VERSION_1_0,
} from "./format.ts";
import { writeAddress } from "../ip/address.ts";

/** Bytes of the longest option or record: its length has 16 bits. */
const MAX_VALUE = 0xffff;

/** The high and the low half of -1: a section whose length is not known yet. */
const UNKNOWN_LENGTH = [0xffff_ffff, 0xffff_ffff] as const;

/**
 * Bytes of a packet that are kept: of any packet all. It is what Wireshark's tools write where
 * there is no limit; zero would say so too (§4.2), but older versions of libpcap refuse a second
 * interface with zero (its issue 832).
 */
const SNAPSHOT_LENGTH = 262_144;

/** if_tsresol of microseconds. */
const MICROSECONDS = 6;

const UTF8 = new TextEncoder();

/** Where packets are seen: a TUN, a data link. */
export interface PcapngInterface {
  /** What the packets begin with. */
  readonly linkType: LinkType;
  /** Such as `tun1`. */
  readonly name: string;
  /** For people. */
  readonly description?: string;
}

/** What a capture file says before its first packet. */
interface PcapngOptions {
  /** The program and its version, e.g. `onion 0.1.0`. */
  readonly application: string;
  /**
   * One at least; packets refer to them by index. Wireshark takes any mixture. libpcap, and so
   * tcpdump, wants one link type for all, and not {@linkcode LinkType.raw}: version 1.10.3 compares
   * its own number of it, 12, with the second interface's 101.
   */
  readonly interfaces: readonly [PcapngInterface, ...PcapngInterface[]];
  /** Names that Wireshark shows in place of addresses. */
  readonly names?: readonly AddressNames[];
}

/**
 * Writes one section of a capture file. Texts hold no zero character, which readers take for their
 * end (§3.5).
 */
export class PcapngWriter {
  readonly #options: PcapngOptions;

  /** A writer; nothing is written yet. */
  constructor(options: PcapngOptions) {
    this.#options = options;
  }

  /**
   * What goes before all else: the section, its interfaces, its names.
   *
   * @throws {RangeError} where a text is too long for its field
   */
  header(): Uint8Array<ArrayBuffer> {
    const { application, interfaces, names = [] } = this.#options;
    const section = block(
      BlockType.sectionHeader,
      words(BYTE_ORDER_MAGIC, VERSION_1_0, ...UNKNOWN_LENGTH),
      options([OptionCode.application, application]),
    );
    const described = interfaces.map(({ linkType, name, description }) =>
      block(
        BlockType.interfaceDescription,
        // 16 bits of link type and 16 reserved, as one word.
        words(linkType, SNAPSHOT_LENGTH),
        options(
          [OptionCode.interfaceName, name],
          [OptionCode.interfaceDescription, description],
          [OptionCode.timestampResolution, Uint8Array.of(MICROSECONDS)],
        ),
      )
    );
    return join(section, ...described, ...names.length > 0 ? [this.names(names)] : []);
  }

  /**
   * More names, at any time: readers apply them to the whole section.
   *
   * @throws {RangeError} where the names of one address are too long for a record
   */
  names(names: readonly AddressNames[]): Uint8Array<ArrayBuffer> {
    const records = names.map(({ address, names }) => {
      const texts = UTF8.encode(names.map((name) => `${name}\0`).join(""));
      const value = new Uint8Array(4 + texts.length);
      // Four octets, whatever the section's byte order is.
      writeAddress(new DataView(value.buffer), 0, address);
      value.set(texts, 4);
      return record(NameRecord.ipv4, value);
    });
    return block(BlockType.nameResolution, ...records, record(NameRecord.end));
  }

  /**
   * A packet.
   *
   * @param timestamp milliseconds since the Unix epoch. Whole microseconds are kept exactly until
   * the year 2109; beyond, a double is no longer that fine.
   * @param bytes the packet, from what the interface's link type says it begins with
   * @param comment text to be shown with it; none if empty
   * @param interfaceId index of the interface that saw it
   * @throws {RangeError} where the comment is longer than 65,535 bytes, or there is no such
   * interface
   */
  packet(timestamp: number, bytes: Uint8Array, comment = "", interfaceId = 0): Uint8Array<ArrayBuffer> {
    if (this.#options.interfaces[interfaceId] === undefined) {
      throw new RangeError(`the capture has no interface ${interfaceId}`);
    }
    return block(
      BlockType.enhancedPacket,
      words(interfaceId, ...units(timestamp), bytes.length, bytes.length),
      bytes,
      options([OptionCode.comment, comment]),
    );
  }
}

/**
 * A time in ms as the high and the low word of its number of microseconds, which stays below 2^53.
 */
function units(timestamp: number): [high: number, low: number] {
  const whole = Math.floor(timestamp);
  // Rounds the fraction by itself: multiplied with its milliseconds, a double would lose its last
  // digits.
  const count = whole * UNITS_PER_MS + Math.round((timestamp - whole) * UNITS_PER_MS);
  return [Math.floor(count / 2 ** 32), count % 2 ** 32];
}

/** A block around a body of parts, each of which is padded to 32 bits. */
function block(type: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + padded(part.length), BLOCK_OVERHEAD);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += padded(part.length);
  }
  view.setUint32(at, length, true);
  return bytes;
}

/** The list of those options that have a value; without any, nothing, not even its end. */
function options(
  ...options: readonly (readonly [code: number, value: string | Uint8Array | undefined])[]
): Uint8Array {
  const present = options.flatMap(([code, value]) =>
    value === undefined || value.length === 0
      ? []
      : [record(code, typeof value === "string" ? UTF8.encode(value) : value)]
  );
  return present.length === 0 ? new Uint8Array() : join(...present, record(OptionCode.end));
}

/** An option or a name record. */
function record(code: number, value: Uint8Array = new Uint8Array()): Uint8Array {
  if (value.length > MAX_VALUE) {
    throw new RangeError(`a text of ${value.length} bytes is too long for a capture file`);
  }
  const bytes = new Uint8Array(4 + padded(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, 4);
  return bytes;
}

/** 32-bit fields. */
function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setUint32(4 * index, value, true));
  return bytes;
}

/** One byte array after the other. */
function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
