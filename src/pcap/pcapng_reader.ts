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
import { readAddress } from "../ip/address.ts";
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

/** Max length of a block in bytes, the limit of libpcap. A longer one is garbage. */
const MAX_BLOCK = 16 * 1024 * 1024;

/** Shows invalid UTF-8 as U+FFFD, as Wireshark does (§3.6.3), and keeps a byte order mark. */
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** An address and its names. */
interface NamesItem extends AddressNames {
  /** Tells it from other items. */
  readonly kind: "names";
}

/** A packet. */
export interface PacketItem {
  /** Tells it from other items. */
  readonly kind: "packet";
  /** Name of the interface that saw it; empty if it has none. */
  readonly on: string;
  /** Milliseconds since the Unix epoch. */
  readonly timestamp: number;
  /** A view into the file. */
  readonly bytes: Uint8Array;
  /** In the file's order; may be empty. */
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
export type PcapngItem = NamesItem | PacketItem | IncompleteItem;

/** The bytes between two offsets of the file. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** The value of an option or a name record without its padding, and its code. */
interface Value extends Range {
  readonly code: number;
}

/** A whole block; its range covers lengths and padding. */
interface Block extends Range {
  readonly type: number;
}

/**
 * The items of a capture file, in the file's order.
 *
 * @throws {WireError} if the file is malformed, after the items before the fault
 */
export function* readPcapng(bytes: Uint8Array): Generator<PcapngItem, void, undefined> {
  const file = new CaptureFile(bytes);
  const interfaces: string[] = [];
  let whole = 0;
  for (const block of file.blocks()) {
    switch (block.type) {
      case BlockType.interfaceDescription:
        interfaces.push(file.interfaceName(block));
        break;
      case BlockType.nameResolution:
        yield* file.names(block);
        break;
      case BlockType.enhancedPacket:
        yield file.packet(block, interfaces);
        break;
    }
    whole = block.end;
  }
  if (whole === 0 || whole < bytes.length) yield { kind: "incomplete", offset: whole };
}

/**
 * Cuts a capture file before its first packet, and after its last whole block.
 *
 * @throws {WireError} if the file is malformed
 */
export function splitPcapng(
  bytes: Uint8Array,
): { readonly header: Uint8Array; readonly packets: Uint8Array } {
  const blocks = [...new CaptureFile(bytes).blocks()];
  const end = blocks.at(-1)?.end ?? 0;
  const first = blocks.find(({ type }) => type === BlockType.enhancedPacket)?.start ?? end;
  return { header: bytes.subarray(0, first), packets: bytes.subarray(first, end) };
}

/** The error of a part of the file that contradicts itself. */
function malformed(part: string, at: number, why: string): WireError {
  return new WireError(`malformed pcapng ${part} at byte ${at}: ${why}`);
}

/** The bytes of a capture file, and what is in its blocks. */
class CaptureFile {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** The whole blocks of the file. */
  *blocks(): Generator<Block, void, undefined> {
    for (let start = 0; start + 4 <= this.#bytes.length;) {
      const left = this.#bytes.length - start;
      const type = this.#word(start);
      if ((type === BlockType.sectionHeader) !== (start === 0)) {
        if (start > 0) throw malformed("block", start, "a second section");
        throw new WireError("no pcapng file: it does not begin with a section header");
      }
      if (left < BLOCK_OVERHEAD) return;
      if (start === 0 && this.#word(8) !== BYTE_ORDER_MAGIC) {
        throw new WireError("malformed pcapng section: no little-endian byte-order magic");
      }
      const length = this.#word(start + 4);
      if (length < BLOCK_OVERHEAD || length > MAX_BLOCK || length % 4 !== 0) {
        throw malformed("block", start, `a length of ${length} bytes`);
      }
      if (length > left) return;
      const block = { type, start, end: start + length };
      if (this.#word(block.end - 4) !== length) throw malformed("block", start, "its two lengths differ");
      if (start === 0) this.#checkVersion(block);
      yield block;
      start = block.end;
    }
  }

  /** The name in an Interface Description Block (§4.2); empty without one. */
  interfaceName(block: Block): string {
    const options = this.#behind(block, FixedFields.interfaceDescription);
    return this.#texts(options, OptionCode.interfaceName).at(-1) ?? "";
  }

  /** A Name Resolution Block (§4.5). */
  *names(block: Block): Generator<NamesItem, void, undefined> {
    for (const { code, start, end } of this.#values(this.#behind(block, 0))) {
      if (code !== NameRecord.ipv4) continue;
      const texts = start + 4;
      if (end <= texts || this.#bytes[end - 1] !== 0) {
        throw malformed("names", start, "no name, or no end");
      }
      const [first, ...more] = UTF8.decode(this.#bytes.subarray(texts, end - 1)).split("\0");
      yield { kind: "names", address: readAddress(this.#view, start), names: [first!, ...more] };
    }
  }

  /** An Enhanced Packet Block (§4.3). */
  packet(block: Block, interfaces: readonly string[]): PacketItem {
    const { start, end } = this.#behind(block, FixedFields.enhancedPacket);
    const [id, high, low, captured] = [20, 16, 12, 8].map((back) => this.#word(start - back));
    const on = interfaces[id!];
    if (on === undefined) throw malformed("packet", block.start, `no interface ${id}`);
    if (captured! > end - start) throw malformed("packet", block.start, "it is longer than its block");
    const comments = this.#texts({ start: start + padded(captured!), end }, OptionCode.comment);
    const bytes = this.#bytes.subarray(start, start + captured!);
    return { kind: "packet", on, timestamp: (high! * 2 ** 32 + low!) / UNITS_PER_MS, bytes, comments };
  }

  /** Asserts that a Section Header Block is of the known version (§4.1). */
  #checkVersion(block: Block): void {
    const version = this.#word(this.#behind(block, FixedFields.sectionHeader).start - 12);
    if (version === VERSION_1_0) return;
    throw new WireError(`cannot read pcapng version ${version & 0xffff}.${version >>> 16}, only 1.0`);
  }

  /** What follows a block's fixed fields. */
  #behind(block: Block, fields: number): Range {
    const start = block.start + 8 + fields, end = block.end - 4;
    if (start > end) throw malformed("block", block.start, "no room for its fields");
    return { start, end };
  }

  /** Options or records, up to the end of their list or of the block (§3.5). */
  *#values({ start: at, end }: Range): Generator<Value, void, undefined> {
    while (at < end) {
      const code = this.#view.getUint16(at, true);
      if (code === OptionCode.end) return;
      const value = { code, start: at + 4, end: at + 4 + this.#view.getUint16(at + 2, true) };
      if (value.end > end) throw malformed("option", at, "it is longer than its block");
      yield value;
      at += 4 + padded(value.end - value.start);
    }
  }

  /** The texts of the options with this code, each up to its first zero byte, if any (§3.5). */
  #texts(options: Range, wanted: number): string[] {
    const found = [...this.#values(options)].filter(({ code }) => code === wanted);
    return found.map(({ start, end }) => {
      const value = this.#bytes.subarray(start, end);
      const zero = value.indexOf(0);
      return UTF8.decode(zero < 0 ? value : value.subarray(0, zero));
    });
  }

  #word(at: number): number {
    return this.#view.getUint32(at, true);
  }
}
