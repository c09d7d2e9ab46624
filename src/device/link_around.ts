/**
 * A link around another one.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Endpoint } from "../ip/address.ts";
import type { Link, Neighbour } from "./link.ts";

/** Passes everything on to another link. A subclass changes what it is about. */
export class LinkAround implements Link {
  /** The other link. */
  protected readonly inner: Link;

  /** Wraps `inner`. */
  constructor(inner: Link) {
    this.inner = inner;
  }

  /** {@inheritDoc Link.fd} */
  get fd(): number | undefined {
    return this.inner.fd;
  }

  /** {@inheritDoc Link.receive} */
  receive(into: PacketBuffer): Neighbour {
    return this.inner.receive(into);
  }

  /** {@inheritDoc Link.hasMore} */
  get hasMore(): boolean {
    return this.inner.hasMore;
  }

  /** {@inheritDoc Link.send} */
  send(neighbour: Neighbour, datagram: PacketBuffer): boolean {
    return this.inner.send(neighbour, datagram);
  }

  /** {@inheritDoc Link.replaceNeighbour} */
  replaceNeighbour(neighbour: Neighbour, by: Endpoint | undefined): void {
    this.inner.replaceNeighbour(neighbour, by);
  }

  /** {@inheritDoc Link.cork} */
  cork(): void {
    this.inner.cork();
  }

  /** {@inheritDoc Link.uncork} */
  uncork(): number {
    return this.inner.uncork();
  }

  /** {@inheritDoc Link.deadline} */
  get deadline(): number {
    return this.inner.deadline;
  }

  /** {@inheritDoc Link.expire} */
  expire(now: number): void {
    this.inner.expire(now);
  }
}
