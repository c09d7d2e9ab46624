/**
 * Taps: devices around others that take down what passes. They are put between a core and its devices, so the core does
 * not know of them.
 *
 * @module
 */
import { PacketBuffer } from "../../buffer/packet_buffer.ts";
import { cellCircuit, cellType, formatCircuit, isCell } from "../../cell/cell.ts";
import { formatCell } from "../../cell/parse.ts";
import type { IcmpSocket, OutgoingFields, SendResult } from "../../exit/raw_icmp/core.ts";
import { type Link, type Neighbour, NOTHING, STRANGER } from "../link.ts";
import { udpFrame } from "../../pcap/udp_frame.ts";
import type { Tap } from "../../trace/trace.ts";
import type { Tun } from "../tun.ts";
import type { Endpoint, IpAddress } from "../../ip/address.ts";
import { IPV4_HEADER, Protocol, writeIpv4Header } from "../../ip/ipv4.ts";
import type { Recorder } from "./recorder.ts";

/** What is said of a packet where it is taken down; whoever reads a capture can tell by it which way it went. */
export const Note = {
  fromHost: "from the host",
  toHost: "to the host",
  intoWorld: "into the world",
  fromWorld: "from the world",
  /** How the note on a cell's contents begins. */
  wayOut: "on the way out",
  wayBack: "on the way back",
} as const;

/** A data link's neighbour, and where what passes between us is taken down; nowhere if the neighbour does that. */
export interface TappedNeighbour {
  readonly end: Endpoint;
  readonly recorder: Recorder | undefined;
}

/** Takes down the cells of a link. */
export class TapLink implements Link {
  readonly #inner: Link;
  readonly #self: Endpoint;
  readonly #neighbours: readonly TappedNeighbour[];

  /** @param neighbours in the order of the link's */
  constructor(inner: Link, self: Endpoint, neighbours: readonly TappedNeighbour[]) {
    this.#inner = inner;
    this.#self = self;
    this.#neighbours = neighbours;
  }

  /** {@inheritDoc Link.fd} */
  get fd(): number | undefined {
    return this.#inner.fd;
  }

  /** {@inheritDoc Link.receive} */
  receive(into: PacketBuffer): Neighbour {
    const neighbour = this.#inner.receive(into);
    if (neighbour !== NOTHING && neighbour !== STRANGER) {
      const { end, recorder } = this.#neighbours[neighbour]!;
      recorder?.record(udpFrame(end, this.#self, into.copy()), describeCell(into));
    }
    return neighbour;
  }

  /** {@inheritDoc Link.hasMore} */
  get hasMore(): boolean {
    return this.#inner.hasMore;
  }

  /** {@inheritDoc Link.send} */
  send(neighbour: Neighbour, datagram: PacketBuffer): boolean {
    const { end, recorder } = this.#neighbours[neighbour]!;
    recorder?.record(udpFrame(this.#self, end, datagram.copy()), describeCell(datagram));
    return this.#inner.send(neighbour, datagram);
  }

  /** {@inheritDoc Link.cork} */
  cork(): void {
    this.#inner.cork();
  }

  /** {@inheritDoc Link.uncork} */
  uncork(): number {
    return this.#inner.uncork();
  }

  /** {@inheritDoc Link.deadline} */
  get deadline(): number {
    return this.#inner.deadline;
  }

  /** {@inheritDoc Link.expire} */
  expire(now: number): void {
    this.#inner.expire(now);
  }
}

/** Takes down the packets of a TUN interface. */
export class TapTun implements Tun {
  readonly #inner: Tun;
  readonly #recorder: Recorder;

  constructor(inner: Tun, recorder: Recorder) {
    this.#inner = inner;
    this.#recorder = recorder;
  }

  /** {@inheritDoc Tun.fd} */
  get fd(): number | undefined {
    return this.#inner.fd;
  }

  /** {@inheritDoc Tun.receive} */
  receive(into: PacketBuffer): boolean {
    if (!this.#inner.receive(into)) return false;
    this.#recorder.record(into.copy(), Note.fromHost);
    return true;
  }

  /** {@inheritDoc Tun.send} */
  send(packet: PacketBuffer): boolean {
    this.#recorder.record(packet.copy(), Note.toHost);
    return this.#inner.send(packet);
  }
}

/** Takes down what a raw ICMP socket sends and receives. */
export class TapSocket implements IcmpSocket {
  readonly #inner: IcmpSocket;
  readonly #address: IpAddress;
  readonly #recorder: Recorder;

  /** @param address that the socket is bound to */
  constructor(inner: IcmpSocket, address: IpAddress, recorder: Recorder) {
    this.#inner = inner;
    this.#address = address;
    this.#recorder = recorder;
  }

  /** {@inheritDoc IcmpSocket.fd} */
  get fd(): number | undefined {
    return this.#inner.fd;
  }

  /** {@inheritDoc IcmpSocket.send} */
  send(buffer: PacketBuffer, from: number, fields: OutgoingFields): SendResult {
    const result = this.#inner.send(buffer, from, fields);
    if (result === "sent") {
      const message = buffer.bytes.subarray(from, buffer.end);
      const header = { identification: 0, protocol: Protocol.icmp, source: this.#address, ...fields };
      this.#recorder.record(packetOf(message, header), Note.intoWorld);
    }
    return result;
  }

  /** {@inheritDoc IcmpSocket.receive} */
  receive(into: PacketBuffer): boolean {
    if (!this.#inner.receive(into)) return false;
    this.#recorder.record(into.copy(), Note.fromWorld);
    return true;
  }
}

/** "Use for experimentation and testing" (RFC 3692 §2.1): a protocol number that nothing will be read as. */
export const SEALED_PROTOCOL = 253;

/** Takes down what a router has in its hands; what is sealed for others as the contents of a packet of no known protocol. */
export function tapInside(recorder: Recorder, address: IpAddress): Tap {
  return {
    inside(direction, circuit, contents, isReadable) {
      const way = direction === "out" ? Note.wayOut : Note.wayBack;
      const where = `${way}, circuit ${formatCircuit(circuit)}`;
      if (isReadable) return recorder.record(contents.copy(), where);
      const { start, end, bytes } = contents;
      const header = {
        identification: 0,
        typeOfService: 0,
        dontFragment: true,
        ttl: 64,
        protocol: SEALED_PROTOCOL,
        source: address,
        destination: address,
      };
      recorder.record(packetOf(bytes.subarray(start, end), header), `${where}, sealed for others`);
    },
  };
}

function packetOf(payload: Uint8Array, fields: Parameters<typeof writeIpv4Header>[3]): Uint8Array {
  const packet = new PacketBuffer(IPV4_HEADER + payload.length);
  packet.hold(IPV4_HEADER + payload.length);
  packet.bytes.set(payload, packet.start + IPV4_HEADER);
  writeIpv4Header(packet.view, packet.start, packet.end, fields);
  return packet.copy();
}

/** A cell in words. */
function describeCell(cell: PacketBuffer): string {
  return isCell(cell) ? formatCell({ type: cellType(cell), circuit: cellCircuit(cell) }) : "no cell";
}
