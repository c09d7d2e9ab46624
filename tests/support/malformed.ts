/**
 * Malformed packets: valid ones with changed fields, lengths and checksums, so that they pass the
 * first checks, and pure noise. The same seed gives the same packets.
 *
 * @module
 */
import { cell, concat, echo, hex, ipv4, pattern, plainChecksum, plainSum } from "./packets.ts";
import type { Random } from "./random.ts";

/** Numbers at which length and offset checks go wrong. */
const EDGES = [
  0,
  1,
  7,
  8,
  15,
  16,
  19,
  20,
  21,
  27,
  28,
  60,
  68,
  0x1fff,
  0x2000,
  0x3fff,
  0x7fff,
  0x8000,
  0xfff8,
  0xffff,
];

const BYTES = [0, 1, 0x44, 0x45, 0x46, 0x4f, 0x60, 0x7f, 0x80, 0xff];

/**
 * Special addresses: unspecified, loopback, multicast, broadcast, the block and its hosts, and the
 * world.
 */
const ADDRESSES = [
  0x0000_0000,
  0x7f00_0001,
  0xe000_0001,
  0xffff_ffff,
  0x0a05_3300,
  0x0a05_3301,
  0x0a05_3302,
  0x0a05_3307,
  0x0a05_33ff,
  0x801e_029b,
];

const OPTIONS = [
  "",
  "01010101",
  "94040000",
  "07070400000000 00",
  "83070400000000 00",
  "0000ffff",
  "8300ffff",
  "07ff04ff",
];

/**
 * Offsets of the 16-bit words of an IPv4 header, and of an ICMP header after one without options.
 */
const WORDS = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26];

function validPackets(): Uint8Array[] {
  const answer = { source: "10.5.51.7", destination: "10.5.51.2" };
  const sizes = [0, 1, 8, 56, 200, 1400];
  const requests = sizes.map((size) => ipv4({}, echo({ data: pattern(size) })));
  const replies = sizes.map((size) => ipv4(answer, echo({ type: 0, data: pattern(size) })));
  const withOptions = OPTIONS.map((text) => ipv4({ options: hex(text) }, echo({ data: pattern(24) })));
  const message = echo({ data: pattern(64) });
  const fragments = [1, 2, 3].flatMap((id) => [
    ipv4({ id, moreFragments: true }, message.subarray(0, 24)),
    ipv4({ id, moreFragments: true, offset: 24 }, message.subarray(24, 48)),
    ipv4({ id, offset: 48 }, message.subarray(48)),
  ]);
  const errors = [3, 4, 5, 11, 12].map((type) => ipv4(answer, echo({ type, data: requests[3]! })));
  const others = [ipv4({ protocol: 17 }, pattern(20)), ipv4({ protocol: 6 }, pattern(40))];
  return [...requests, ...replies, ...withOptions, ...fragments, ...errors, ...others];
}

/** Length in bytes of the longest UDP payload. */
const LONGEST_DATAGRAM = 65_507;

/** The longest packet; rare, because it takes long. */
const LONGEST = ipv4({}, echo({ data: pattern(65_507) }));

/**
 * A source of malformed packets and cells. Each is valid until the next call.
 */
export class Malformed {
  readonly #random: Random;
  readonly #valid = validPackets();
  readonly #storage = new Uint8Array(65_535);
  readonly #view = new DataView(this.#storage.buffer);
  #length = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** An IP packet, or almost one. */
  packet(): Uint8Array {
    const random = this.#random;
    if (random.oneIn(8)) return this.#noise();
    return this.mutation(random.oneIn(5000) ? LONGEST : random.pick(this.#valid));
  }

  /** A cell, or almost one. */
  cell(type: number, circuit: number): Uint8Array {
    const random = this.#random;
    const packet = this.packet().subarray(0, LONGEST_DATAGRAM - 8);
    if (!random.oneIn(8)) return cell(type, circuit, packet);
    const bytes = cell(
      random.oneIn(2) ? random.below(256) : type,
      random.oneIn(2) ? random.below(3) : circuit,
      packet,
    );
    if (random.oneIn(2)) bytes[random.below(8)]! ^= 1 << random.below(8);
    return random.oneIn(4) ? bytes.subarray(0, random.below(12)) : bytes;
  }

  /** The packet, changed in up to three places. */
  mutation(packet: Uint8Array): Uint8Array {
    const random = this.#random;
    this.#storage.set(packet);
    this.#length = packet.length;
    for (let times = random.below(4); times > 0; times--) this.#mutate();
    if (!random.oneIn(3)) this.#mendIcmp();
    if (!random.oneIn(4)) this.#mendHeader();
    return this.#storage.subarray(0, this.#length);
  }

  #noise(): Uint8Array {
    const random = this.#random;
    const bytes = this.#storage.subarray(0, random.oneIn(50) ? random.below(2000) : random.below(80));
    random.fill(bytes);
    if (bytes.length > 0 && random.oneIn(2)) bytes[0] = 0x45;
    return bytes;
  }

  #mutate(): void {
    const random = this.#random;
    const bytes = this.#storage;
    const length = Math.max(1, this.#length);
    switch (random.below(8)) {
      case 0:
        bytes[random.below(Math.min(length, 48))]! ^= 1 << random.below(8);
        return;
      case 1:
        bytes[random.below(length)]! ^= 1 << random.below(8);
        return;
      case 2:
        bytes[random.below(Math.min(length, 48))] = random.pick(BYTES);
        return;
      case 3:
        this.#view.setUint16(
          random.pick(WORDS),
          random.oneIn(4) ? this.#length + random.below(3) - 1 : random.pick(EDGES),
        );
        return;
      case 4:
        this.#view.setUint32(random.oneIn(3) ? 12 : 16, random.pick(ADDRESSES));
        return;
      case 5:
        // A fragment that other fragments may fit.
        this.#view.setUint16(4, random.below(80));
        this.#view.setUint16(6, (random.oneIn(2) ? 0x2000 : 0) | random.below(6));
        return;
      case 6:
        this.#length = random.below(length + 1);
        if (random.oneIn(2)) this.#view.setUint16(2, this.#length);
        return;
      case 7:
        this.#length = Math.min(bytes.length, this.#length + 8 * random.below(4));
        if (random.oneIn(2)) this.#view.setUint16(2, this.#length);
        return;
    }
  }

  #mendHeader(): void {
    const length = (this.#storage[0]! & 15) * 4;
    if (length < 20 || length > this.#length) return;
    this.#view.setUint16(10, 0);
    this.#view.setUint16(10, plainChecksum(this.#storage.subarray(0, length)));
  }

  #mendIcmp(): void {
    const header = (this.#storage[0]! & 15) * 4;
    const end = Math.min(this.#length, this.#view.getUint16(2));
    if (end < header + 8) return;
    this.#view.setUint16(header + 2, 0);
    this.#view.setUint16(header + 2, plainChecksum(this.#storage.subarray(header, end)));
  }
}

/**
 * Whether a cell with this header holds a valid fragment of an ICMP datagram, which may wait for
 * others.
 */
export function isProperFragment(datagram: Uint8Array, type: number, circuit: number): boolean {
  const header = concat(
    Uint8Array.of(type, 0, 0, 0),
    Uint8Array.of(circuit >>> 24, circuit >>> 16, circuit >>> 8, circuit),
  );
  if (datagram.length < 28 || header.some((byte, index) => byte !== datagram[index])) return false;
  const packet = datagram.slice(8);
  const view = new DataView(packet.buffer);
  const [headerLength, totalLength] = [(packet[0]! & 15) * 4, view.getUint16(2)];
  if (packet[0]! >>> 4 !== 4 || headerLength < 20) return false;
  if (totalLength < headerLength || totalLength > packet.length) return false;
  if (plainSum(packet.subarray(0, headerLength)) !== 0xffff || packet[9] !== 1) return false;
  const [more, offset] = [(view.getUint16(6) & 0x2000) !== 0, (view.getUint16(6) & 0x1fff) * 8];
  const payload = totalLength - headerLength;
  if (!more && offset === 0) return false;
  return payload > 0 && (!more || payload % 8 === 0) && headerLength + offset + payload <= 65_535;
}
