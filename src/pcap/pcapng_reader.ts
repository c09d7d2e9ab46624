/**
 * Reads the capture files that `pcapng.ts` writes (draft-ietf-opsawg-pcapng): one little-endian
 * section with interfaces, names of IPv4 addresses, and packets. Other blocks and options are
 * skipped.
 *
 * A file that ends inside a block is *incomplete*: its run goes on, or was killed. A file that
 * contradicts itself is *malformed*, which is a {@linkcode WireError}.
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
  UNITS_PER_MS,
  VERSION_1_0,
} from "./format.ts";
import { readAddress } from "../ip/address.ts";

/** Bytes of the longest block, the limit of libpcap. A longer one is garbage. */
const MAX_BLOCK = 16 * 1024 * 1024;

/** Shows invalid UTF-8 as U+FFFD, as Wireshark does (§3.6.3), and keeps a byte order mark. */
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The start of the section. */
interface SectionItem {
  /** Tells it from other items. */
  readonly kind: "section";
  /** The program that wrote the file; empty if the file does not say. */
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
  /** Empty if the file has none. */
  readonly name: string;
  /** Empty if the file has none. */
  readonly description: string;
}

/** An address and its names. */
interface NamesItem extends AddressNames {
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
  /** A view into the file. */
  readonly bytes: Uint8Array;
  /** In the file's order; none if the file has none. */
  readonly comments: readonly string[];
}

/** The file ends inside a block. */
interface IncompleteItem {
  /** Tells it from other items. */
  readonly kind: "incomplete";
  /** Where that block begins. Up to there the file is whole. */
  readonly offset: number;
}

/** What a capture file holds, in the file's order. */
export type PcapngItem = SectionItem | InterfaceItem | NamesItem | PacketItem | IncompleteItem;

/** The bytes between two offsets of the file. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** The body of a block, and its type. */
interface Block extends Range {
  readonly type: number;
}

/** The value of an option or a name record without its padding, and its code. */
interface Value extends Range {
  readonly code: number;
}

/**
 * The items of a capture file, in the file's order.
 *
 * @throws {WireError} if the file is malformed, after the items before the fault
 */
export function* readPcapng(bytes: Uint8Array): Generator<PcapngItem, void, undefined> {
  const file = new CaptureFile(bytes);
  const interfaces: InterfaceItem[] = [];
  let at = 0;
  do {
    const block = file.block(at);
    if (block === undefined) {
      yield { kind: "incomplete", offset: at };
      return;
    }
    switch (block.type) {
      case BlockType.sectionHeader:
        yield file.section(block);
        break;
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

  /** The block at `at`; undefined if the file ends inside it. */
  block(at: number): Block | undefined {
    const left = this.#bytes.length - at;
    if (left < 4) return undefined;
    const type = this.#word(at);
    if ((type === BlockType.sectionHeader) !== (at === 0)) {
      throw new WireError(
        at === 0
          ? "no pcapng file: it does not begin with a section header"
          : `malformed pcapng block at byte ${at}: a second section`,
      );
    }
    if (left < BLOCK_OVERHEAD) return undefined;
    if (at === 0 && this.#word(8) !== BYTE_ORDER_MAGIC) {
      throw new WireError("malformed pcapng section: no little-endian byte-order magic");
    }
    const length = this.#word(at + 4);
    if (length < BLOCK_OVERHEAD || length > MAX_BLOCK || length % 4 !== 0) {
      throw new WireError(`malformed pcapng block at byte ${at}: a length of ${length} bytes`);
    }
    if (length > left) return undefined;
    if (this.#word(at + length - 4) !== length) {
      throw new WireError(`malformed pcapng block at byte ${at}: its two lengths differ`);
    }
    return { type, start: at + 8, end: at + length - 4 };
  }

  /** A Section Header Block (§4.1). */
  section(block: Block): SectionItem {
    const options = this.#behind(block, FixedFields.sectionHeader);
    const version = this.#word(block.start + 4);
    if (version !== VERSION_1_0) {
      throw new WireError(`cannot read pcapng version ${version & 0xffff}.${version >>> 16}, only 1.0`);
    }
    return { kind: "section", application: this.#option(options, OptionCode.application) };
  }

  /** An Interface Description Block (§4.2). */
  interface(block: Block, id: number): InterfaceItem {
    const options = this.#behind(block, FixedFields.interfaceDescription);
    return {
      kind: "interface",
      id,
      linkType: this.#view.getUint16(block.start, true),
      name: this.#option(options, OptionCode.interfaceName),
      description: this.#option(options, OptionCode.interfaceDescription),
    };
  }

  /** A Name Resolution Block (§4.5). */
  *names(block: Block): Generator<NamesItem, void, undefined> {
    for (const { code, start, end } of this.#values(block)) {
      if (code !== NameRecord.ipv4) continue;
      const texts = start + 4;
      if (end <= texts || this.#bytes[end - 1] !== 0) {
        throw new WireError(`malformed pcapng names at byte ${start}: no name, or no end`);
      }
      const [first, ...more] = UTF8.decode(this.#bytes.subarray(texts, end - 1)).split("\0");
      yield { kind: "names", address: readAddress(this.#view, start), names: [first!, ...more] };
    }
  }

  /** An Enhanced Packet Block (§4.3). */
  packet(block: Block, interfaces: readonly InterfaceItem[]): PacketItem {
    const { start, end } = this.#behind(block, FixedFields.enhancedPacket);
    const on = interfaces[this.#word(block.start)];
    if (on === undefined) {
      throw new WireError(
        `malformed pcapng packet at byte ${block.start}: no interface ${this.#word(block.start)}`,
      );
    }
    const captured = this.#word(block.start + 12);
    if (captured > end - start) {
      throw new WireError(`malformed pcapng packet at byte ${block.start}: it is longer than its block`);
    }
    const comments: string[] = [];
    for (const option of this.#values({ start: start + padded(captured), end })) {
      if (option.code === OptionCode.comment) comments.push(this.#text(option));
    }
    return {
      kind: "packet",
      on,
      // Microseconds, in a high and a low word.
      timestamp: (this.#word(block.start + 4) * 2 ** 32 + this.#word(block.start + 8)) / UNITS_PER_MS,
      bytes: this.#bytes.subarray(start, start + captured),
      comments,
    };
  }

  /** What follows a block's fixed fields. */
  #behind({ start, end }: Block, fields: number): Range {
    if (end - start < fields) {
      throw new WireError(`malformed pcapng block at byte ${start - 8}: no room for its fields`);
    }
    return { start: start + fields, end };
  }

  /** Options or records, up to the end of their list or of the block (§3.5). */
  *#values({ start: at, end }: Range): Generator<Value, void, undefined> {
    while (at < end) {
      const code = this.#view.getUint16(at, true);
      if (code === OptionCode.end) return;
      const value = { code, start: at + 4, end: at + 4 + this.#view.getUint16(at + 2, true) };
      if (value.end > end) {
        throw new WireError(`malformed pcapng option at byte ${at}: it is longer than its block`);
      }
      yield value;
      at += 4 + padded(value.end - value.start);
    }
  }

  /** The text of the last option with this code; empty without one. */
  #option(options: Range, code: number): string {
    let text = "";
    for (const option of this.#values(options)) if (option.code === code) text = this.#text(option);
    return text;
  }

  /** The text of an option, up to its first zero byte, if any (§3.5). */
  #text({ start, end }: Value): string {
    const value = this.#bytes.subarray(start, end);
    const zero = value.indexOf(0);
    return UTF8.decode(zero < 0 ? value : value.subarray(0, zero));
  }

  #word(at: number): number {
    return this.#view.getUint32(at, true);
  }
}
