/**
 * IPv4 packets (RFC 791).
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-------+-------+---------------+-------------------------------+
 * |Version|  IHL  |Type of Service|         Total Length          |
 * +-------+-------+---------------+-----+-------------------------+
 * |        Identification         |Flags|     Fragment Offset     |
 * +---------------+---------------+-----+-------------------------+
 * | Time to Live  |   Protocol    |        Header Checksum        |
 * +---------------+---------------+-------------------------------+
 * |                        Source Address                         |
 * +---------------------------------------------------------------+
 * |                      Destination Address                      |
 * +---------------------------------------------------------------+
 * |                    Options, if IHL > 5 …                      |
 * ```
 *
 * @module
 */
import { checksum, checksumOfSum, isIntact, replaceUint16 } from "../buffer/checksum.ts";
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { addressBits, type IpAddress, readAddress, writeAddress } from "./address.ts";

/** Byte offsets in an IPv4 header (RFC 791 §3.1). */
const At = {
  versionAndLength: 0,
  typeOfService: 1,
  totalLength: 2,
  identification: 4,
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  options: 20,
} as const;

/** An address of a packet: where it comes from, or where it goes. */
export type AddressSide = "source" | "destination";

/** Byte offsets in an IPv4 header of its addresses. */
export const ADDRESS_OFFSET: Readonly<Record<AddressSide, number>> = {
  source: At.source,
  destination: At.destination,
};

/** Offset of the checksum in an IPv4 header. */
export const IPV4_CHECKSUM: number = At.checksum;

/** Bits of the 16-bit word at offset 6: flags, then the fragment offset in units of 8 bytes. */
const Fragment = { dontFragment: 0x4000, moreFragments: 0x2000, offset: 0x1fff } as const;

/** Length of a header without options, in bytes. */
export const IPV4_HEADER = 20;

/** Min MTU of a network, in bytes (RFC 791 §3.2): the longest header and 8 bytes of data. */
const MIN_MTU = 68;

/** Protocol numbers (IANA "Assigned Internet Protocol Numbers"). */
export const Protocol = {
  /** RFC 792. */
  icmp: 1,
  /** RFC 9293. */
  tcp: 6,
  /** RFC 768. */
  udp: 17,
} as const;

/** A key of {@linkcode Protocol}. */
export type ProtocolName = keyof typeof Protocol;

/** Why an IPv4 packet is invalid. */
export type Ipv4Fault = "not-ipv4" | "bad-length" | "header-checksum" | "bad-fragment";

/**
 * A view of an IPv4 packet. {@linkcode Ipv4View.wrap} checks the packet once; the getters trust it
 * from then on. One view serves any number of packets in turn.
 */
export class Ipv4View {
  #view: DataView = new DataView(new ArrayBuffer(IPV4_HEADER));
  #start = 0;
  #headerLength = IPV4_HEADER;
  #end = IPV4_HEADER;
  /** Flags and fragment offset. */
  #fragment = 0;

  /**
   * Shows the packet in `packet`. Cuts off bytes behind its total length, which are padding.
   *
   * @returns a fault, after which the view must not be read; else undefined
   */
  wrap(packet: PacketBuffer): Ipv4Fault | undefined {
    const { view, start, length } = packet;
    if (length < IPV4_HEADER) {
      return length > 0 && view.getUint8(start) >>> 4 === 4 ? "bad-length" : "not-ipv4";
    }
    const first = view.getUint32(start);
    if (first >>> 28 !== 4) return "not-ipv4";
    const headerLength = (first >>> 24 & 0x0f) * 4;
    const totalLength = first & 0xffff;
    if (headerLength < IPV4_HEADER || totalLength < headerLength || totalLength > length) return "bad-length";
    if (!isIntact(view, start, start + headerLength)) return "header-checksum";
    const fragment = view.getUint16(start + At.fragment);
    const payload = totalLength - headerLength;
    const offset = (fragment & Fragment.offset) * 8;
    // Every fragment but the last ends on a multiple of 8 bytes. None exceeds the max length.
    if ((fragment & Fragment.moreFragments) !== 0 && (payload === 0 || payload % 8 !== 0)) {
      return "bad-fragment";
    }
    if (offset > 0 && (payload === 0 || headerLength + offset + payload > 0xffff)) return "bad-fragment";
    packet.end = start + totalLength;
    this.#view = view;
    this.#start = start;
    this.#headerLength = headerLength;
    this.#end = packet.end;
    this.#fragment = fragment;
    return undefined;
  }

  /** The view of the packet's buffer, which the offsets below refer to. */
  get view(): DataView {
    return this.#view;
  }

  /** Length of the header with its options, in bytes: 20 to 60. */
  get headerLength(): number {
    return this.#headerLength;
  }

  /** Length of header and payload, in bytes. */
  get totalLength(): number {
    return this.#end - this.#start;
  }

  /** Offset in the packet buffer of the header's first byte. */
  get start(): number {
    return this.#start;
  }

  /** Offset in the packet buffer of the payload's first byte. */
  get payload(): number {
    return this.#start + this.#headerLength;
  }

  /** Offset in the packet buffer after the payload's last byte. */
  get end(): number {
    return this.#end;
  }

  /** The type of service byte, now DSCP and ECN (RFC 2474). */
  get typeOfService(): number {
    return this.#view.getUint8(this.#start + At.typeOfService);
  }

  /** The identification, which all fragments of a datagram share. */
  get identification(): number {
    return this.#view.getUint16(this.#start + At.identification);
  }

  /** Whether routers must not fragment this packet. */
  get dontFragment(): boolean {
    return (this.#fragment & Fragment.dontFragment) !== 0;
  }

  /** Whether more fragments of the datagram follow. */
  get moreFragments(): boolean {
    return (this.#fragment & Fragment.moreFragments) !== 0;
  }

  /** Offset of the payload in the datagram's payload, in bytes. */
  get fragmentOffset(): number {
    return (this.#fragment & Fragment.offset) * 8;
  }

  /** Whether this is a fragment of a longer datagram. */
  get isFragment(): boolean {
    return (this.#fragment & (Fragment.moreFragments | Fragment.offset)) !== 0;
  }

  /** The time to live: hops that the packet may still take. */
  get ttl(): number {
    return this.#view.getUint8(this.#start + At.ttl);
  }

  /** Protocol number of the payload; see {@linkcode Protocol}. */
  get protocol(): number {
    return this.#view.getUint8(this.#start + At.protocol);
  }

  /** The source address. */
  get source(): IpAddress {
    return readAddress(this.#view, this.#start + At.source);
  }

  /** The destination address. */
  get destination(): IpAddress {
    return readAddress(this.#view, this.#start + At.destination);
  }
}

/** The fields of an IPv4 header that its writer chooses. The packet determines the others. */
interface Ipv4Fields {
  /** The type of service byte. Default: 0. */
  readonly typeOfService?: number;
  /** What fragments of one datagram share. Default: 0. */
  readonly identification?: number;
  /** Whether no router may fragment the packet. Default: false. */
  readonly dontFragment?: boolean;
  /** The time to live. Default: 64, IANA's for packets that a host originates. */
  readonly ttl?: number;
  /** See {@linkcode Protocol}. */
  readonly protocol: number;
  /** The source address. */
  readonly source: IpAddress;
  /** The destination address. */
  readonly destination: IpAddress;
}

/** Writes a header without options at `start`. The packet ends at `end`. */
export function writeIpv4Header(view: DataView, start: number, end: number, fields: Ipv4Fields): void {
  const { typeOfService = 0, identification = 0, ttl = 64, protocol, source, destination } = fields;
  const flags = fields.dontFragment ? Fragment.dontFragment : 0;
  const first = (0x45 << 24 | typeOfService << 16 | end - start) >>> 0;
  const second = (identification << 16 | flags) >>> 0;
  const third = (ttl << 24 | protocol << 16) >>> 0;
  view.setUint32(start, first);
  view.setUint32(start + At.identification, second);
  const addresses = addressBits(source) + addressBits(destination);
  view.setUint32(start + At.ttl, third | checksumOfSum(first + second + third + addresses));
  writeAddress(view, start + At.source, source);
  writeAddress(view, start + At.destination, destination);
}

/** A new packet around a payload, which is copied. */
export function ipv4Packet(payload: Uint8Array, fields: Ipv4Fields): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(IPV4_HEADER + payload.length);
  packet.set(payload, IPV4_HEADER);
  writeIpv4Header(new DataView(packet.buffer), 0, packet.length, fields);
  return packet;
}

/**
 * Cuts a packet that is longer than `mtu` into fragments (RFC 791 §2.3). Copies only headers,
 * because each fragment overwrites the one before it. Options with the copied flag go into every
 * fragment (§3.1). Does not look at don't-fragment.
 *
 * @param packet a checked packet, possibly a fragment itself; its contents are lost
 * @param mtu max length of a fragment, in bytes; at least {@linkcode MIN_MTU}
 * @param emit called for each fragment in turn, with the fragment in `packet`; must have consumed
 * it when it returns
 * @throws {RangeError} if the MTU may leave no room for data
 */
export function fragmentIpv4(packet: PacketBuffer, mtu: number, emit: () => void): void {
  const { view, bytes, start, end } = packet;
  if (end - start <= mtu) return emit();
  if (mtu < MIN_MTU) throw new RangeError(`cannot cut a packet into fragments of ${mtu} bytes`);
  const headerLength = (view.getUint8(start) & 0x0f) * 4;
  const header = bytes.slice(start, start + headerLength);
  const laterHeader = headerOfLaterFragments(header);
  const flags = view.getUint16(start + At.fragment);
  const firstOffset = flags & Fragment.offset;
  const payload = start + headerLength;

  for (let at = payload; at < end;) {
    const mine = at === payload ? header : laterHeader;
    const room = (mtu - mine.length) & ~7;
    const last = end - at <= mtu - mine.length;
    packet.start = at - mine.length;
    packet.end = last ? end : at + room;
    bytes.set(mine, packet.start);
    const more = last ? flags & Fragment.moreFragments : Fragment.moreFragments;
    const offset = firstOffset + (at - payload) / 8;
    view.setUint16(packet.start + At.totalLength, packet.length);
    view.setUint16(packet.start + At.fragment, (flags & Fragment.dontFragment) | more | offset);
    view.setUint16(packet.start + At.checksum, 0);
    view.setUint16(packet.start + At.checksum, checksum(view, packet.start, packet.start + mine.length));
    at = packet.end;
    emit();
  }
}

/** The header of all fragments but the first: without options that lack the copied flag. */
function headerOfLaterFragments(header: Uint8Array): Uint8Array {
  const kept: number[] = [];
  for (let at: number = At.options; at < header.length;) {
    const type = header[at]!;
    if (type === 0) break; // end of option list
    const length = type === 1 ? 1 : header[at + 1] ?? 0; // 1 is the one-byte no-operation
    // Malformed: nothing after it is valid.
    if (type !== 1 && (length < 2 || at + length > header.length)) break;
    if (type & 0x80) kept.push(...header.subarray(at, at + length));
    at += length;
  }
  while (kept.length % 4 !== 0) kept.push(0);
  const later = new Uint8Array(IPV4_HEADER + kept.length);
  later.set(header.subarray(0, IPV4_HEADER));
  later.set(kept, IPV4_HEADER);
  later[0] = 0x40 | (later.length / 4);
  return later;
}

/** Lowers the TTL by one, and updates the header checksum (RFC 1141 §2). The TTL must not be 0. */
export function decrementTtl(view: DataView, start: number): void {
  replaceUint16(view, start + At.ttl, view.getUint16(start + At.ttl) - 0x100, start + At.checksum);
}

/** The protocol number of a quoted packet, whose header is at `start` but whose payload is cut. */
export function quotedProtocol(view: DataView, start: number): number {
  return view.getUint8(start + At.protocol);
}

/** Whether a quoted packet is a later fragment. */
export function quotesLaterFragment(view: DataView, start: number): boolean {
  return (view.getUint16(start + At.fragment) & Fragment.offset) !== 0;
}

/** The source address of a quoted packet. */
export function quotedSource(view: DataView, start: number): IpAddress {
  return readAddress(view, start + At.source);
}

/** The destination address of a quoted packet. */
export function quotedDestination(view: DataView, start: number): IpAddress {
  return readAddress(view, start + At.destination);
}
