/**
 * Data links in memory, and the medium that carries their datagrams.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { type Link, type Neighbour, NOTHING, STRANGER } from "../device/link.ts";
import type { Endpoint } from "../ip/address.ts";

/** A datagram on its way. */
export interface Datagram {
  /** Port of the sender. */
  readonly from: number;
  /** The contents: a cell, if the sender is honest. */
  readonly bytes: Uint8Array;
}

/** What joins the links of a network in memory. It knows each link by its port. */
export class MemoryMedium {
  readonly #links = new Map<number, MemoryLink>();
  /**
   * Returns the datagrams that arrive in the place of one on its way. Replace it to watch, change,
   * drop or double what travels; it returns the datagram unchanged unless replaced.
   */
  tamper: (from: number, to: number, bytes: Uint8Array) => readonly Uint8Array[] = (
    _from,
    _to,
    bytes,
  ) => [bytes];

  /** Adds a link. Give it neighbours with {@linkcode MemoryLink.addNeighbour}. */
  link(port: number): MemoryLink {
    const link = new MemoryLink(this, port);
    this.#links.set(port, link);
    return link;
  }

  /** Removes a link: its party is gone. */
  unlink(port: number): void {
    this.#links.delete(port);
  }

  /** Carries a datagram. It is lost if no link has the port `to`, as with UDP. */
  carry(from: number, to: number, bytes: Uint8Array): void {
    for (const arriving of this.tamper(from, to, bytes)) this.deliver(from, to, arriving);
  }

  /** Delivers a datagram without asking {@linkcode MemoryMedium.tamper}. */
  deliver(from: number, to: number, bytes: Uint8Array): void {
    this.#links.get(to)?.arrive({ from, bytes });
  }
}

/** A data link in memory. */
export class MemoryLink implements Link {
  /** {@inheritDoc Link.fd} */
  readonly fd: undefined = undefined;
  readonly #medium: MemoryMedium;
  readonly #ownPort: number;
  readonly #neighbours: (number | undefined)[] = [];
  readonly #arrived: Datagram[] = [];

  /** Made by {@linkcode MemoryMedium.link}. */
  constructor(medium: MemoryMedium, ownPort: number) {
    this.#medium = medium;
    this.#ownPort = ownPort;
  }

  /** Makes the link at `port` a neighbour and returns its index. */
  addNeighbour(port: number): Neighbour {
    return this.#neighbours.push(port) - 1;
  }

  /** Queues a datagram; called by the medium. */
  arrive(datagram: Datagram): void {
    this.#arrived.push(datagram);
  }

  /** {@inheritDoc Link.receive} */
  receive(into: PacketBuffer): Neighbour {
    const datagram = this.#arrived.shift();
    if (datagram === undefined) return NOTHING;
    into.load(datagram.bytes);
    const neighbour = this.#neighbours.indexOf(datagram.from);
    return neighbour < 0 ? STRANGER : neighbour;
  }

  /** {@inheritDoc Link.send} */
  send(neighbour: Neighbour, datagram: PacketBuffer): boolean {
    const to = this.#neighbours[neighbour];
    if (to === undefined) return false;
    this.#medium.carry(this.#ownPort, to, datagram.copy());
    return true;
  }

  /** {@inheritDoc Link.replaceNeighbour} */
  replaceNeighbour(neighbour: Neighbour, by: Endpoint | undefined): void {
    this.#neighbours[neighbour] = by?.port;
  }

  /** {@inheritDoc Link.hasMore} */
  readonly hasMore: boolean = false;

  /** {@inheritDoc Link.cork} */
  cork(): void {}

  /** {@inheritDoc Link.uncork} */
  uncork(): number {
    return 0;
  }

  /** {@inheritDoc Link.deadline} */
  readonly deadline: number = Infinity;

  /** {@inheritDoc Link.expire} */
  expire(): void {}
}
