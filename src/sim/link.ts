/**
 * Data links in memory.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { type Link, type Neighbour, NOTHING, STRANGER } from "../device/link.ts";

/** A datagram under way. */
export interface Datagram {
  /** The sender's port. */
  readonly from: number;
  /** What was sent. */
  readonly bytes: Uint8Array;
}

/** The medium that memory links share: it knows them by port. */
export class MemoryMedium {
  readonly #links = new Map<number, MemoryLink>();
  /**
   * What becomes of a datagram under way: the datagrams that arrive in its place. Nothing is done to it unless set; whoever
   * only wants to watch returns it as it is.
   */
  tamper: (from: number, to: number, bytes: Uint8Array) => readonly Uint8Array[] = (
    _from,
    _to,
    bytes,
  ) => [bytes];

  /** A new link on this medium. Its neighbours are added with {@linkcode MemoryLink.addNeighbour}. */
  link(port: number): MemoryLink {
    const link = new MemoryLink(this, port);
    this.#links.set(port, link);
    return link;
  }

  /** Carries a datagram; one to nobody is lost, as with UDP. */
  carry(from: number, to: number, bytes: Uint8Array): void {
    for (const arriving of this.tamper(from, to, bytes)) this.deliver(from, to, arriving);
  }

  /** Lets a datagram arrive, past {@linkcode MemoryMedium.tamper}. */
  deliver(from: number, to: number, bytes: Uint8Array): void {
    this.#links.get(to)?.arrive({ from, bytes });
  }
}

/** A data link in memory. */
export class MemoryLink implements Link {
  readonly #medium: MemoryMedium;
  readonly #ownPort: number;
  readonly #neighbours: number[] = [];
  readonly #arrived: Datagram[] = [];

  /** Made by {@linkcode MemoryMedium.link}. */
  constructor(medium: MemoryMedium, ownPort: number) {
    this.#medium = medium;
    this.#ownPort = ownPort;
  }

  /** Makes the link at `port` a neighbour. */
  addNeighbour(port: number): Neighbour {
    return this.#neighbours.push(port) - 1;
  }

  /** A datagram comes in; for the medium. */
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
    this.#medium.carry(this.#ownPort, this.#neighbours[neighbour]!, datagram.copy());
    return true;
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
