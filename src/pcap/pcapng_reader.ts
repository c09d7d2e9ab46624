/**
 * Reads what `pcapng.ts` writes, and as much of other programs' files (draft-ietf-opsawg-pcapng): sections in either
 * byte order, interfaces, names of IPv4 addresses, Enhanced Packet Blocks. All else is skipped.
 *
 * A file that ends inside a block is *incomplete*, which is no fault of its writer: the run goes on, or was killed.
 * A file that contradicts itself is *malformed*, and a {@linkcode WireError}.
 *
 * @module
 */
import { WireError } from "../errors.ts";
import {
  type AddressNames,
  BLOCK_OVERHEAD,
  BlockType,
  BYTE_ORDER_MAGIC,
  FixedFields,
  NameRecord,
  OptionCode,
  padded,
} from "./format.ts";

/** Bytes of the longest block that is taken for one, as in libpcap: a length beyond it is garbage. */
const MAX_BLOCK = 16 * 1024 * 1024;

/** Units of a second in a timestamp without if_tsresol (§4.2). */
const MICROSECONDS = 1_000_000;

/** A second's most units: with them, every step of the division in {@linkcode milliseconds} stays below 2^53. */
const MAX_UNITS_PER_SECOND = 2 ** 45;

/** As Wireshark does, what is no UTF-8 is shown as U+FFFD (§3.6.3); a byte order mark is a character like others. */
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The start of a section: what comes behind it has nothing to do with interfaces and names before. */
export interface SectionItem {
  /** Tells it from other items. */
  readonly kind: "section";
  /** The program that wrote it; empty where it doesn't say. */
  readonly application: string;
}

/** An interface of the section. */
export interface InterfaceItem {
  /** Tells it from other items. */
  readonly kind: "interface";
  /** Its index in the section. */
  readonly id: number;
  /** One of `LinkType`, or another. */
  readonly linkType: number;
  /** Empty where the file has none. */
  readonly name: string;
  /** Empty where the file has none. */
  readonly description: string;
  /** What its timestamps count, e.g. 1,000,000. */
  readonly unitsPerSecond: number;
  /** Seconds to add to its timestamps. */
  readonly offset: number;
}

/** An address and its names. */
export interface NamesItem extends AddressNames {
  /** Tells it from other items. */
  readonly kind: "names";
}

/** A packet. */
export interface PacketItem {
  /** Tells it from other items. */
  readonly kind: "packet";
  /** The interface that saw it. */
  readonly on: InterfaceItem;
  /** Milliseconds since the Unix epoch. */
  readonly timestamp: number;
  /** A view of the file's bytes. */
  readonly bytes: Uint8Array;
  /** Bytes that it had on the wire, of which the file may hold fewer. */
  readonly originalLength: number;
  /** What its writer had to say about it; mostly none or one. */
  readonly comments: readonly string[];
}

/** The last item of a file that ends inside a block, or before the first. */
export interface IncompleteItem {
  /** Tells it from other items. */
  readonly kind: "incomplete";
  /** Bytes of the file up to that block. */
  readonly offset: number;
}

/** What a capture file holds. */
export type PcapngItem = SectionItem | InterfaceItem | NamesItem | PacketItem | IncompleteItem;

/** A whole block. */
interface Block {
  readonly type: number;
  readonly littleEndian: boolean;
  /** Offset of its body. */
  readonly start: number;
  /** Offset after its body. */
  readonly end: number;
}

/** An option or a name record. */
interface Value {
  readonly code: number;
  /** Offset of the value. */
  readonly start: number;
  /** Offset after the value, before what pads it. */
  readonly end: number;
}

/**
 * The items of a capture file, in the file's order.
 *
 * @throws {WireError} where the file is malformed; the items before have been yielded
 */
export function* readPcapng(bytes: Uint8Array): Generator<PcapngItem, void, undefined> {
  const file = new CaptureFile(bytes);
  let littleEndian: boolean | undefined;
  let legible = false;
  let interfaces: InterfaceItem[] = [];
  let at = 0;
  do {
    const block = file.block(at, littleEndian);
    if (block === undefined) {
      yield { kind: "incomplete", offset: at };
      return;
    }
    if (block.type === BlockType.sectionHeader) {
      littleEndian = block.littleEndian;
      legible = file.isLegible(block);
      interfaces = [];
      if (legible) yield file.section(block);
    } else if (legible) {
      switch (block.type) {
        case BlockType.interfaceDescription: {
          const described = file.interface(block, interfaces.length);
          interfaces.push(described);
          yield described;
          break;
        }
        case BlockType.nameResolution:
          yield* file.names(block);
          break;
        case BlockType.enhancedPacket:
          yield file.packet(block, interfaces);
          break;
      }
    }
    at = block.end + 4;
  } while (at < bytes.length);
}

/** The bytes of a capture file, and what is in its blocks. */
class CaptureFile {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /**
   * The block at `at`.
   *
   * @param littleEndian the section's byte order; undefined before the first section
   * @returns undefined where the file ends inside it
   */
  block(at: number, littleEndian: boolean | undefined): Block | undefined {
    const left = this.#bytes.length - at;
    if (left < 4) return undefined;
    const isSection = this.#view.getUint32(at) === BlockType.sectionHeader;
    if (!isSection && littleEndian === undefined) {
      throw new WireError("no pcapng file: it does not begin with a section header");
    }
    if (left < BLOCK_OVERHEAD) return undefined;
    const order = isSection ? this.#byteOrder(at + 8) : littleEndian!;
    const length = this.#view.getUint32(at + 4, order);
    if (length < BLOCK_OVERHEAD || length > MAX_BLOCK || length % 4 !== 0) {
      throw new WireError(`malformed pcapng block at byte ${at}: a length of ${length} bytes`);
    }
    if (length > left) return undefined;
    if (this.#view.getUint32(at + length - 4, order) !== length) {
      throw new WireError(`malformed pcapng block at byte ${at}: its lengths before and behind it differ`);
    }
    return {
      type: this.#view.getUint32(at, order),
      littleEndian: order,
      start: at + 8,
      end: at + length - 4,
    };
  }

  /** Whether the section's version is known: if not, all of it is to be skipped (§3.4). */
  isLegible(block: Block): boolean {
    this.#expectFields(block, FixedFields.sectionHeader);
    const major = this.#view.getUint16(block.start + 4, block.littleEndian);
    const minor = this.#view.getUint16(block.start + 6, block.littleEndian);
    // Some wrote 1.2 for what is 1.0 (§4.1).
    return major === 1 && (minor === 0 || minor === 2);
  }

  /** A Section Header Block (§4.1). */
  section(block: Block): SectionItem {
    let application = "";
    for (const option of this.#values(block, block.start + FixedFields.sectionHeader)) {
      if (option.code === OptionCode.application) application = this.#text(option);
    }
    return { kind: "section", application };
  }

  /** An Interface Description Block (§4.2). */
  interface(block: Block, id: number): InterfaceItem {
    this.#expectFields(block, FixedFields.interfaceDescription);
    const linkType = this.#view.getUint16(block.start, block.littleEndian);
    let name = "";
    let description = "";
    let unitsPerSecond = MICROSECONDS;
    let offset = 0;
    for (const option of this.#values(block, block.start + FixedFields.interfaceDescription)) {
      switch (option.code) {
        case OptionCode.interfaceName:
          name = this.#text(option);
          break;
        case OptionCode.interfaceDescription:
          description = this.#text(option);
          break;
        case OptionCode.timestampResolution:
          expectLength(option, 1);
          unitsPerSecond = resolution(this.#bytes[option.start]!);
          break;
        case OptionCode.timestampOffset:
          expectLength(option, 8);
          offset = Number(this.#view.getBigInt64(option.start, block.littleEndian));
          break;
      }
    }
    return { kind: "interface", id, linkType, name, description, unitsPerSecond, offset };
  }

  /** A Name Resolution Block (§4.5). */
  *names(block: Block): Generator<NamesItem, void, undefined> {
    for (const record of this.#values(block, block.start)) {
      if (record.code !== NameRecord.ipv4) continue;
      const texts = record.start + 4;
      const ended = record.end > texts && this.#bytes[record.end - 1] === 0;
      if (!ended) throw new WireError(`malformed pcapng names at byte ${record.start}: no name, or no end`);
      const [first, ...more] = UTF8.decode(this.#bytes.subarray(texts, record.end - 1)).split("\0");
      yield { kind: "names", address: this.#view.getUint32(record.start), names: [first!, ...more] };
    }
  }

  /** An Enhanced Packet Block (§4.3). */
  packet(block: Block, interfaces: readonly InterfaceItem[]): PacketItem {
    this.#expectFields(block, FixedFields.enhancedPacket);
    const [id, high, low, captured, originalLength] = Array.from(
      { length: 5 },
      (_, index) => this.#view.getUint32(block.start + 4 * index, block.littleEndian),
    ) as [number, number, number, number, number];
    const on = interfaces[id];
    if (on === undefined) {
      throw new WireError(`malformed pcapng packet at byte ${block.start}: no interface ${id}`);
    }
    const start = block.start + FixedFields.enhancedPacket;
    if (captured > block.end - start) {
      throw new WireError(`malformed pcapng packet at byte ${block.start}: it reaches out of its block`);
    }
    const comments: string[] = [];
    for (const option of this.#values(block, start + padded(captured))) {
      if (option.code === OptionCode.comment) comments.push(this.#text(option));
    }
    return {
      kind: "packet",
      on,
      timestamp: milliseconds(high, low, on),
      bytes: this.#bytes.subarray(start, start + captured),
      originalLength,
      comments,
    };
  }

  /** Options or records from `at` to the end of their list, or of the block where the list's end is missing (§3.5). */
  *#values(block: Block, at: number): Generator<Value, void, undefined> {
    while (at < block.end) {
      const code = this.#view.getUint16(at, block.littleEndian);
      const start = at + 4;
      const end = start + this.#view.getUint16(at + 2, block.littleEndian);
      if (code === OptionCode.end) return;
      if (end > block.end) {
        throw new WireError(`malformed pcapng option at byte ${at}: it reaches out of its block`);
      }
      yield { code, start, end };
      at = start + padded(end - start);
    }
  }

  /** The text of an option, up to a zero octet if there is one (§3.5). */
  #text({ start, end }: Value): string {
    const value = this.#bytes.subarray(start, end);
    const zero = value.indexOf(0);
    return UTF8.decode(zero < 0 ? value : value.subarray(0, zero));
  }

  /** The byte order that the magic at `at` tells: whether it is little-endian. */
  #byteOrder(at: number): boolean {
    if (this.#view.getUint32(at, true) === BYTE_ORDER_MAGIC) return true;
    if (this.#view.getUint32(at, false) === BYTE_ORDER_MAGIC) return false;
    throw new WireError(`malformed pcapng section at byte ${at - 8}: no byte-order magic`);
  }

  #expectFields({ start, end }: Block, length: number): void {
    if (end - start < length) {
      throw new WireError(`malformed pcapng block at byte ${start - 8}: no room for its fields`);
    }
  }
}

function expectLength({ start, end }: Value, length: number): void {
  if (end - start !== length) {
    throw new WireError(`malformed pcapng option at byte ${start}: ${end - start} bytes, not ${length}`);
  }
}

/** The units in a second that if_tsresol tells: a power of 2 where the top bit is set, else one of 10 (§4.2). */
function resolution(value: number): number {
  const unitsPerSecond = value & 0x80 ? 2 ** (value & 0x7f) : 10 ** value;
  if (unitsPerSecond > MAX_UNITS_PER_SECOND) {
    throw new WireError(`pcapng timestamps of ${unitsPerSecond} units a second are too fine to be read`);
  }
  return unitsPerSecond;
}

/** A timestamp's 64 bits in ms: divided byte by byte as on paper, because a double holds only 53 of them. */
function milliseconds(high: number, low: number, { unitsPerSecond, offset }: InterfaceItem): number {
  let seconds = 0;
  let rest = 0;
  for (const word of [high, low]) {
    for (const shift of [24, 16, 8, 0]) {
      rest = rest * 256 + ((word >>> shift) & 0xff);
      seconds = seconds * 256 + Math.floor(rest / unitsPerSecond);
      rest %= unitsPerSecond;
    }
  }
  return (seconds + offset) * 1000 + rest * 1000 / unitsPerSecond;
}
