/**
 * Taps: devices that wrap other devices and record what passes. They sit between a core and its
 * devices, so the core does not know of them.
 *
 * @module
 */
import type { PacketBuffer } from "../../buffer/packet_buffer.ts";
import { cellCircuit, cellType, formatCircuit, isCell } from "../../cell/cell.ts";
import { formatCell } from "../../cell/parse.ts";
import type { IcmpSocket, OutgoingFields, SendResult } from "../../exit/raw_icmp/core.ts";
import { type Link, type Neighbour, NOTHING, STRANGER } from "../link.ts";
import { LinkAround } from "../link_around.ts";
import { udpFrame } from "../../pcap/udp_frame.ts";
import type { Tap } from "../../trace/trace.ts";
import type { Tun } from "../tun.ts";
import type { Endpoint, IpAddress } from "../../ip/address.ts";
import { ipv4Packet, Protocol } from "../../ip/ipv4.ts";
import type { Recorder } from "./recorder.ts";

/** The comments on recorded packets. They tell the reader of a capture which way a packet went. */
export const Note = {
  fromHost: "from the host",
  toHost: "to the host",
  intoWorld: "into the world",
  fromWorld: "from the world",
  /** The beginning of the comment on a cell's contents. */
  wayOut: "on the way out",
  wayBack: "on the way back",
} as const;

/** A neighbour of a data link. Without a recorder, the neighbour records the link between us. */
interface TappedNeighbour {
  end: Endpoint;
  readonly recorder: Recorder | undefined;
}

/** Records the cells of a link. */
export class TapLink extends LinkAround {
  readonly #self: Endpoint;
  readonly #neighbours: readonly TappedNeighbour[];

  /**
   * Wraps `inner`.
   *
   * @param self our end of the link
   * @param neighbours in the order of the link's neighbours
   */
  constructor(inner: Link, self: Endpoint, neighbours: readonly TappedNeighbour[]) {
    super(inner);
    this.#self = self;
    this.#neighbours = neighbours;
  }

  /** {@inheritDoc Link.receive} */
  override receive(into: PacketBuffer): Neighbour {
    const neighbour = this.inner.receive(into);
    if (neighbour !== NOTHING && neighbour !== STRANGER) {
      const { end, recorder } = this.#neighbours[neighbour]!;
      recorder?.record(udpFrame(end, this.#self, into.copy()), describeCell(into));
    }
    return neighbour;
  }

  /** {@inheritDoc Link.send} */
  override send(neighbour: Neighbour, datagram: PacketBuffer): boolean {
    const { end, recorder } = this.#neighbours[neighbour]!;
    recorder?.record(udpFrame(this.#self, end, datagram.copy()), describeCell(datagram));
    return this.inner.send(neighbour, datagram);
  }

  /** {@inheritDoc Link.replaceNeighbour} */
  override replaceNeighbour(neighbour: Neighbour, by: Endpoint | undefined): void {
    const tapped = this.#neighbours[neighbour]!;
    if (by !== undefined) tapped.end = { ...tapped.end, port: by.port };
    super.replaceNeighbour(neighbour, by);
  }
}

/** Records the packets of a TUN interface. */
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

/** Records the packets of a raw ICMP socket. */
export class TapSocket implements IcmpSocket {
  readonly #inner: IcmpSocket;
  readonly #address: IpAddress;
  readonly #recorder: Recorder;

  /**
   * Wraps `inner`.
   *
   * @param address the address that the socket is bound to
   */
  constructor(inner: IcmpSocket, address: IpAddress, recorder: Recorder) {
    this.#inner = inner;
    this.#address = address;
    this.#recorder = recorder;
  }

  /** {@inheritDoc IcmpSocket.fd} */
  get fd(): number | undefined {
    return this.#inner.fd;
  }

  /** {@inheritDoc IcmpSocket.mtu} */
  get mtu(): number {
    return this.#inner.mtu;
  }

  /** {@inheritDoc IcmpSocket.send} */
  send(buffer: PacketBuffer, from: number, fields: OutgoingFields): SendResult {
    const result = this.#inner.send(buffer, from, fields);
    if (result === "sent") {
      const message = buffer.bytes.subarray(from, buffer.end);
      const header = { protocol: Protocol.icmp, source: this.#address, ...fields };
      this.#recorder.record(ipv4Packet(message, header), Note.intoWorld);
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

/**
 * A protocol number that no reader of a capture interprets: for experiments and tests (RFC 3692
 * §2.1).
 */
export const SEALED_PROTOCOL = 253;

/**
 * Records the contents of cells inside a router. Sealed contents become the payload of a packet of
 * {@linkcode SEALED_PROTOCOL}.
 */
export function tapInside(recorder: Recorder, address: IpAddress): Tap {
  return {
    inside(direction, circuit, contents, form) {
      const way = direction === "out" ? Note.wayOut : Note.wayBack;
      const where = `${way}, circuit ${formatCircuit(circuit)}`;
      if (form === "packet") return recorder.record(contents.copy(), where);
      const { start, end, bytes } = contents;
      const header = { dontFragment: true, protocol: SEALED_PROTOCOL, source: address, destination: address };
      recorder.record(ipv4Packet(bytes.subarray(start, end), header), `${where}, sealed for others`);
    },
  };
}

/** A cell in words. */
function describeCell(cell: PacketBuffer): string {
  return isCell(cell) ? formatCell({ type: cellType(cell), circuit: cellCircuit(cell) }) : "no cell";
}
