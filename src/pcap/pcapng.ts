/**
 * Writes little-endian pcapng (draft-ietf-opsawg-pcapng). Each call returns blocks as bytes, and
 * the caller writes them in order to a file or a pipe. The draft draws them in §3.1 (block), §3.5
 * (options), §4.1 (section), §4.2 (interface), §4.3 (packet) and §4.5 (names).
 *
 * ```
 * header():    Section Header | Interface Description, one each | Name Resolution, if there are names
 * packet():    Enhanced Packet
 * nameBlock(): Name Resolution, for names that come up later
 * ```
 *
 * A file is valid after every block, so a killed run loses only what it was writing.
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
import { concat } from "../buffer/bytes.ts";
import { addressBytes } from "../ip/address.ts";

/** Max length of an option or record in bytes, because its length has 16 bits. */
const MAX_VALUE = 0xffff;

/** The high and the low half of -1: a section of unknown length. */
const UNKNOWN_LENGTH = [0xffff_ffff, 0xffff_ffff] as const;

/**
 * Max bytes kept of a packet, here no limit. Wireshark's tools write this number. Zero would mean
 * the same (§4.2), but old versions of libpcap refuse a second interface with zero (its issue 832).
 */
const SNAPSHOT_LENGTH = 262_144;

/** if_tsresol of microseconds. */
const MICROSECONDS = 6;

const UTF8 = new TextEncoder();

/** Where packets are seen: a TUN or a data link. */
interface PcapngInterface {
  /** What the packets begin with. */
  readonly linkType: LinkType;
  /** E.g. `tun1`. */
  readonly name: string;
  /** For people. */
  readonly description?: string;
}

/** What a capture file says before its first packet. */
interface PcapngOptions {
  /** The program and its version, e.g. `onion 0.1.0`. */
  readonly application: string;
  /**
   * At least one; packets refer to them by index. Wireshark takes any mixture. libpcap, and so
   * tcpdump, wants one link type for all, and not {@linkcode LinkType.raw}: version 1.10.3 compares
   * its own number for it, 12, with the second interface's 101.
   */
  readonly interfaces: readonly [PcapngInterface, ...PcapngInterface[]];
  /** Names that Wireshark shows instead of addresses. */
  readonly names?: readonly AddressNames[];
}

/**
 * Writes one section of a capture file. Texts must not contain a zero character, which ends them
 * for readers (§3.5).
 */
export class PcapngWriter {
  readonly #options: PcapngOptions;

  /** A writer that has written nothing. */
  constructor(options: PcapngOptions) {
    this.#options = options;
  }

  /**
   * The beginning of the file: section, interfaces, names.
   *
   * @throws {RangeError} if a text is too long for its field
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
        // The link type and 16 reserved bits, as one word.
        words(linkType, SNAPSHOT_LENGTH),
        options(
          [OptionCode.interfaceName, name],
          [OptionCode.interfaceDescription, description],
          [OptionCode.timestampResolution, Uint8Array.of(MICROSECONDS)],
        ),
      )
    );
    return concat(section, ...described, ...names.length > 0 ? [nameBlock(names)] : []);
  }

  /**
   * A packet.
   *
   * @param timestamp milliseconds since the Unix epoch; whole microseconds are exact until 2109,
   * when a double gets too coarse
   * @param bytes the packet, beginning as the link type says
   * @param comment text to show with it; none if empty
   * @param interfaceId index of the interface that saw it
   * @throws {RangeError} if the comment is longer than 65,535 bytes, or the interface does not
   * exist
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
 * A block of names, for any place in a file. Readers apply them to the whole section.
 *
 * @throws {RangeError} if the names of one address are too long for a record
 */
export function nameBlock(names: readonly AddressNames[]): Uint8Array<ArrayBuffer> {
  const records = names.map(({ address, names }) => {
    const texts = UTF8.encode(names.map((name) => `${name}\0`).join(""));
    // An address is big-endian in any section.
    return record(NameRecord.ipv4, concat(addressBytes(address), texts));
  });
  return block(BlockType.nameResolution, ...records, record(NameRecord.end));
}

/**
 * A time in ms as its number of microseconds, below 2^53, in a high and a low word.
 */
function units(timestamp: number): [high: number, low: number] {
  const whole = Math.floor(timestamp);
  // Rounds the fraction alone, because a double for the product would lose its last digits.
  const count = whole * UNITS_PER_MS + Math.round((timestamp - whole) * UNITS_PER_MS);
  return [Math.floor(count / 2 ** 32), count % 2 ** 32];
}

/** A block around a body of parts, each padded to 32 bits. */
function block(type: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const body = concat(...parts.map(pad));
  const length = BLOCK_OVERHEAD + body.length;
  return concat(words(type, length), body, words(length));
}

/** The list of options that have a value; empty, without an end, if none has. */
function options(
  ...options: readonly (readonly [code: number, value: string | Uint8Array | undefined])[]
): Uint8Array {
  const present = options.flatMap(([code, value]) =>
    value === undefined || value.length === 0
      ? []
      : [record(code, typeof value === "string" ? UTF8.encode(value) : value)]
  );
  return present.length === 0 ? new Uint8Array() : concat(...present, record(OptionCode.end));
}

/** An option or a name record. */
function record(code: number, value: Uint8Array = new Uint8Array()): Uint8Array {
  if (value.length > MAX_VALUE) {
    throw new RangeError(`a text of ${value.length} bytes is too long for a capture file`);
  }
  // Code and length, 16 bits each, as one word.
  return concat(words(value.length << 16 | code), pad(value));
}

/** The bytes and zeros behind them, up to a multiple of 4. */
function pad(bytes: Uint8Array): Uint8Array {
  return concat(bytes, new Uint8Array(padded(bytes.length) - bytes.length));
}

/** 32-bit fields. */
function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setUint32(4 * index, value, true));
  return bytes;
}
