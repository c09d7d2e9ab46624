/**
 * Reassembly of fragmented IPv4 datagrams (RFC 791 §3.2, "An Example Reassembly Procedure").
 *
 * @module
 */
import { MAX_PACKET, PacketBuffer } from "../buffer/packet_buffer.ts";
import { UNSPECIFIED } from "./address.ts";
import { IPV4_HEADER, type Ipv4View, writeIpv4Header } from "./ipv4.ts";

/** Limits of a reassembler. */
export interface ReassemblyLimits {
  /** Max number of incomplete datagrams. */
  readonly datagrams: number;
  /** Max memory for them, in bytes. Each takes {@linkcode MAX_PACKET}, whatever its length. */
  readonly memory: number;
  /** Max time from the first fragment of a datagram to its last, in ms. */
  readonly lifetime: number;
}

/** Default limits: 64 datagrams, 4 MiB, and 30 s, as in Linux (`ipfrag_time`). */
export const REASSEMBLY_LIMITS: ReassemblyLimits = { datagrams: 64, memory: 4 << 20, lifetime: 30_000 };

/** Why an incomplete datagram is dropped. */
export type ReassemblyFault = "fragment-overlap" | "reassembly-full" | "reassembly-timeout";

/** Words of a bitmap with a bit for each block of 8 bytes, the unit of fragment offsets. */
const BITMAP_WORDS = 8192 / 32;

/** A datagram of which some fragments have arrived. */
class Unfinished {
  flow = 0;
  readonly packet = new PacketBuffer();
  readonly #have = new Uint32Array(BITMAP_WORDS);
  /** Blocks that have arrived; and all blocks, known once the last fragment is there. */
  #count = 0;
  #total: number | undefined;
  #payloadLength = 0;
  /** The header of the whole datagram. Four of its fields tell datagrams apart (RFC 791 §3.2). */
  readonly #header = {
    source: UNSPECIFIED,
    destination: UNSPECIFIED,
    protocol: 0,
    identification: 0,
    typeOfService: 0,
    ttl: 0,
  };
  deadline = 0;

  begin(ip: Ipv4View, flow: number, deadline: number): void {
    this.flow = flow;
    this.packet.hold(0);
    this.#have.fill(0);
    this.#count = 0;
    this.#total = undefined;
    this.#payloadLength = 0;
    this.#header.source = ip.source;
    this.#header.destination = ip.destination;
    this.#header.protocol = ip.protocol;
    this.#header.identification = ip.identification;
    this.deadline = deadline;
  }

  isOf(ip: Ipv4View, flow: number): boolean {
    const { identification, source, destination, protocol } = this.#header;
    return identification === ip.identification && this.flow === flow && source === ip.source &&
      destination === ip.destination && protocol === ip.protocol;
  }

  /** Adds a fragment. Returns whether it fits the others; an exact duplicate does. */
  take(from: PacketBuffer, ip: Ipv4View): boolean {
    const length = ip.end - ip.payload;
    const first = ip.fragmentOffset >>> 3;
    const behind = first + Math.ceil(length / 8);
    // Only the last fragment may reach the end of the datagram.
    if (!ip.moreFragments) {
      if (this.#total !== undefined && this.#payloadLength !== ip.fragmentOffset + length) return false;
      if (this.#total === undefined && this.#reachesBehind(behind - 1)) return false;
      this.#total = behind;
      this.#payloadLength = ip.fragmentOffset + length;
    } else if (this.#total !== undefined && behind >= this.#total) return false;
    // The datagram gets the header of the first fragment; others may differ (RFC 791 §3.2).
    if (first === 0) {
      this.#header.typeOfService = ip.typeOfService;
      this.#header.ttl = ip.ttl;
    }

    const to = this.packet.start + IPV4_HEADER + ip.fragmentOffset;
    let already = 0;
    for (let block = first; block < behind; block++) if (this.#has(block)) already++;
    if (already > 0) {
      return already === behind - first && sameBytes(this.packet.bytes, to, from.bytes, ip.payload, length);
    }
    for (let block = first; block < behind; block++) this.#have[block >>> 5]! |= 1 << (block & 31);
    this.#count += behind - first;
    this.packet.bytes.set(from.bytes.subarray(ip.payload, ip.end), to);
    return true;
  }

  get isComplete(): boolean {
    return this.#count === this.#total;
  }

  /** Writes the header of the whole datagram, without the options that fragments had. */
  finish(): PacketBuffer {
    this.packet.hold(IPV4_HEADER + this.#payloadLength);
    writeIpv4Header(this.packet.view, this.packet.start, this.packet.end, this.#header);
    return this.packet;
  }

  #has(block: number): boolean {
    return (this.#have[block >>> 5]! & (1 << (block & 31))) !== 0;
  }

  #reachesBehind(block: number): boolean {
    for (let at = block; at < BITMAP_WORDS * 32; at++) if (this.#has(at)) return true;
    return false;
  }
}

/**
 * Collects fragments until their datagram is complete. Drops a datagram whose fragments overlap
 * with different bytes, because only an attacker sends such (RFC 1858 §3; RFC 5722 §4 for IPv6).
 */
export class Reassembler {
  readonly #max: number;
  readonly #lifetime: number;
  readonly #gaveUp: (reason: ReassemblyFault) => void;
  /** In the order of arrival. */
  readonly #unfinished: Unfinished[] = [];
  readonly #spare: Unfinished[] = [];

  /**
   * Creates an empty reassembler.
   *
   * @param gaveUp called once for each datagram that is dropped
   */
  constructor(gaveUp: (reason: ReassemblyFault) => void, limits: ReassemblyLimits = REASSEMBLY_LIMITS) {
    this.#gaveUp = gaveUp;
    this.#max = Math.max(1, Math.min(limits.datagrams, Math.floor(limits.memory / MAX_PACKET)));
    this.#lifetime = limits.lifetime;
  }

  /** Time of the next {@linkcode Reassembler.expire} that drops anything, in ms; or Infinity. */
  get deadline(): number {
    return this.#unfinished[0]?.deadline ?? Infinity;
  }

  /**
   * Adds a fragment.
   *
   * @param packet the fragment that `ip` shows
   * @param now the time in ms, of a monotonic clock
   * @param flow tells apart equal-looking fragments that arrived on different circuits
   * @returns the whole datagram once it is complete, valid until the next call; else undefined
   */
  add(packet: PacketBuffer, ip: Ipv4View, now: number, flow = 0): PacketBuffer | undefined {
    const index = this.#find(ip, flow, now);
    const datagram = this.#unfinished[index]!;
    if (!datagram.take(packet, ip)) {
      this.#giveUp(index, "fragment-overlap");
      return undefined;
    }
    if (!datagram.isComplete) return undefined;
    this.#release(index);
    return datagram.finish();
  }

  /** Drops datagrams that have timed out. */
  expire(now: number): void {
    while (this.#unfinished.length > 0 && this.deadline <= now) this.#giveUp(0, "reassembly-timeout");
  }

  #find(ip: Ipv4View, flow: number, now: number): number {
    // A loop, because findIndex would need a closure for each fragment.
    for (let index = 0; index < this.#unfinished.length; index++) {
      if (this.#unfinished[index]!.isOf(ip, flow)) return index;
    }
    if (this.#unfinished.length >= this.#max) this.#giveUp(0, "reassembly-full");
    const datagram = this.#spare.pop() ?? new Unfinished();
    datagram.begin(ip, flow, now + this.#lifetime);
    return this.#unfinished.push(datagram) - 1;
  }

  #giveUp(index: number, reason: ReassemblyFault): void {
    this.#release(index);
    this.#gaveUp(reason);
  }

  #release(index: number): void {
    this.#spare.push(...this.#unfinished.splice(index, 1));
  }
}

function sameBytes(a: Uint8Array, atA: number, b: Uint8Array, atB: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}
