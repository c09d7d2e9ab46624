/**
 * Packets made and read by hand: a slow and plain reference for `src/ip`, which it does not use.
 *
 * @module
 */
import assert from "node:assert/strict";
import { concat } from "../../src/buffer/bytes.ts";
import { HEADROOM, MAX_PACKET, PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import type { IpAddress } from "../../src/ip/address.ts";

export { concat };

/** Bytes from hex digits; blanks and line breaks are ignored. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(text.replace(/\s/g, ""));
}

/** Parses an address without the code under test. */
export function address(text: string): IpAddress {
  return addressNumber(text) as unknown as IpAddress;
}

/** The same as an unsigned number. */
export function addressNumber(text: string): number {
  return text.split(".").reduce((number, octet) => number * 256 + Number(octet), 0);
}

/** `length` bytes that differ from their neighbours, to notice displaced ones. */
export function pattern(length: number, seed = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >>> 8) * 7 + seed) & 0xff);
}

/** The one's complement sum, word by word with end-around carry, as in RFC 1071 §1. */
export function plainSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes[at]! * 256 + (bytes[at + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** The checksum of bytes whose checksum field is zero. */
export function plainChecksum(bytes: Uint8Array): number {
  return 0xffff - plainSum(bytes);
}

/**
 * A packet buffer that holds `packet`. Every other byte is 0xa5, to notice reads and writes outside
 * it.
 */
export function poisoned(packet: Uint8Array = new Uint8Array(), capacity = MAX_PACKET): PacketBuffer {
  const buffer = new PacketBuffer(capacity);
  buffer.bytes.fill(0xa5);
  buffer.load(packet);
  return buffer;
}

/** Asserts that every byte outside `[start, end)` is still 0xa5. */
export function assertPoisonOutside({ bytes }: PacketBuffer, start: number, end: number): void {
  for (let at = 0; at < bytes.length; at++) {
    if (at === start) at = end;
    if (at < bytes.length && bytes[at] !== 0xa5) {
      assert.fail(`the byte at ${at - HEADROOM} of the packet was overwritten`);
    }
  }
}

/** The fields that {@linkcode ipv4} writes; derived ones can be overridden. */
export interface Ipv4Header {
  /** 4 */
  readonly version: number;
  /** Derived from the options. */
  readonly ihl: number;
  readonly tos: number;
  /** Derived from the payload. */
  readonly totalLength: number;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes. */
  readonly offset: number;
  readonly ttl: number;
  readonly protocol: number;
  /** Derived from the header. */
  readonly checksum: number;
  readonly source: string;
  readonly destination: string;
  /** A multiple of 4 bytes. */
  readonly options: Uint8Array;
}

/** An IPv4 packet, valid except for overridden fields. */
export function ipv4(header: Partial<Ipv4Header>, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const options = header.options ?? new Uint8Array();
  const length = 20 + options.length;
  const bytes = concat(new Uint8Array(20), options, payload);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, (header.version ?? 4) << 4 | (header.ihl ?? length / 4));
  view.setUint8(1, header.tos ?? 0);
  view.setUint16(2, header.totalLength ?? bytes.length);
  view.setUint16(4, header.id ?? 0x1234);
  view.setUint16(
    6,
    (header.dontFragment ? 0x4000 : 0) | (header.moreFragments ? 0x2000 : 0) | (header.offset ?? 0) / 8,
  );
  view.setUint8(8, header.ttl ?? 64);
  view.setUint8(9, header.protocol ?? 1);
  view.setUint32(12, addressNumber(header.source ?? "10.5.51.2"));
  view.setUint32(16, addressNumber(header.destination ?? "10.5.51.7"));
  const covered = bytes.subarray(0, Math.max(20, 4 * (header.ihl ?? length / 4)));
  view.setUint16(10, header.checksum ?? plainChecksum(covered));
  return bytes;
}

/** The fields that {@linkcode echo} writes. */
interface EchoMessage {
  /** 8, an echo request; 0 is the reply. */
  readonly type: number;
  readonly code: number;
  /** Derived from the message. */
  readonly checksum: number;
  readonly id: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** An ICMP echo message, valid except for overridden fields. */
export function echo(message: Partial<EchoMessage> = {}): Uint8Array<ArrayBuffer> {
  const bytes = concat(new Uint8Array(8), message.data ?? new Uint8Array());
  const view = new DataView(bytes.buffer);
  view.setUint8(0, message.type ?? 8);
  view.setUint8(1, message.code ?? 0);
  view.setUint16(4, message.id ?? 7);
  view.setUint16(6, message.sequence ?? 1);
  view.setUint16(2, message.checksum ?? plainChecksum(bytes));
  return bytes;
}

/** An IPv4 packet, read and checked by hand. */
export interface PlainPacket {
  readonly tos: number;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  readonly offset: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
}

/** Reads a packet and asserts its version, lengths and header checksum. */
export function readIpv4(bytes: Uint8Array): PlainPacket {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = (bytes[0]! & 15) * 4;
  assert.equal(bytes[0]! >>> 4, 4, "version");
  assert.ok(length >= 20 && length <= bytes.length, `header length ${length} of ${bytes.length}`);
  assert.equal(view.getUint16(2), bytes.length, "total length");
  assert.equal(plainSum(bytes.subarray(0, length)), 0xffff, "header checksum");
  const fragment = view.getUint16(6);
  assert.equal(fragment & 0x8000, 0, "the reserved flag");
  return {
    tos: bytes[1]!,
    id: view.getUint16(4),
    dontFragment: (fragment & 0x4000) !== 0,
    moreFragments: (fragment & 0x2000) !== 0,
    offset: (fragment & 0x1fff) * 8,
    ttl: bytes[8]!,
    protocol: bytes[9]!,
    source: view.getUint32(12) as unknown as IpAddress,
    destination: view.getUint32(16) as unknown as IpAddress,
    options: bytes.subarray(20, length),
    payload: bytes.subarray(length),
  };
}

/**
 * The payload of the datagram of these fragments, in any order. They must tile it exactly.
 */
export function joinPlainly(fragments: readonly Uint8Array[]): Uint8Array {
  const parts = fragments.map(readIpv4).sort((a, b) => a.offset - b.offset);
  let at = 0;
  for (const [index, part] of parts.entries()) {
    assert.equal(part.offset, at, "a gap or an overlap");
    assert.equal(part.moreFragments, index < parts.length - 1, "more fragments");
    at += part.payload.length;
  }
  return concat(...parts.map((part) => part.payload));
}

/** Fragments a datagram by hand, `step` bytes each, a multiple of 8. */
export function cutPlainly(
  header: Partial<Ipv4Header>,
  payload: Uint8Array,
  step: number,
): Uint8Array<ArrayBuffer>[] {
  const fragments = [];
  for (let offset = 0; offset < payload.length; offset += step) {
    const moreFragments = offset + step < payload.length;
    fragments.push(ipv4({ ...header, offset, moreFragments }, payload.subarray(offset, offset + step)));
  }
  return fragments;
}

/** A cell by hand: type, three reserved bytes, circuit, body. */
export function cell(type: number, circuit: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(8);
  header[0] = type;
  new DataView(header.buffer).setUint32(4, circuit);
  return concat(header, body);
}
