/**
 * Sources: what a node reads from. A turn of one moves what waits, a burst at most.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { type Link, NOTHING, STRANGER } from "../device/link.ts";
import type { Trace } from "../trace/trace.ts";
import { SOURCE } from "./scheduling.ts";

/** Where packets come from. */
export interface Source {
  /**
   * Moves what waits, a burst at most.
   *
   * @param now ms of a clock that never goes back
   * @returns how many packets that were
   */
  move(now: number): number;
}

/** Where packets come from that leave by a link, or have come by it. */
abstract class PacketSource implements Source {
  readonly #link: Link;
  readonly #trace: Trace;
  /** When its last turn was. */
  #before = -Infinity;

  /** @param link what its packets leave by, or come from */
  constructor(link: Link, trace: Trace) {
    this.#link = link;
    this.#trace = trace;
  }

  /**
   * {@inheritDoc Source.move}
   *
   * One after the other: the first of a burst leaves at once, for it may be the only one and somebody waits for it; the others
   * leave together when the burst is over.
   */
  move(now: number): number {
    const link = this.#link;
    const most = now - this.#before > SOURCE.aloneAfter ? 1 : SOURCE.burst;
    this.#before = now;
    let count = 0;
    while ((count < most || link.hasMore) && this.moveOne(now)) {
      if (++count === 1) link.cork();
    }
    if (count > 0) countRefused(link.uncork(), this.#trace);
    return count;
  }

  /** Moves one packet, if there is one: whether there was. */
  protected abstract moveOne(now: number): boolean;
}

/** What is read one packet at a time, without waiting. */
interface Device {
  /** Fills `into` with the next packet: whether there was one. */
  receive(into: PacketBuffer): boolean;
}

/** Who is given the packets of a device. */
export type TakePacket = (packet: PacketBuffer, now: number) => void;

/**
 * The packets of a device, each in the same buffer. All sources of a node may share it, for they take turns, and what is kept of a
 * packet is copied.
 */
export class DeviceSource extends PacketSource {
  readonly #device: Device;
  readonly #buffer: PacketBuffer;
  readonly #take: TakePacket;

  /** @param take given each packet; the buffer is used up */
  constructor(device: Device, buffer: PacketBuffer, link: Link, trace: Trace, take: TakePacket) {
    super(link, trace);
    this.#device = device;
    this.#buffer = buffer;
    this.#take = take;
  }

  protected override moveOne(now: number): boolean {
    if (!this.#device.receive(this.#buffer)) return false;
    this.#take(this.#buffer, now);
    return true;
  }
}

/** Who is given the cells of a link. */
export interface CellTaker {
  /** A cell came from the neighbour of this index. The buffer is used up. */
  fromLink(neighbour: number, cell: PacketBuffer, now: number): void;
}

/** The cells of a link, likewise. */
export class LinkSource extends PacketSource {
  readonly #link: Link;
  readonly #buffer: PacketBuffer;
  readonly #trace: Trace;
  readonly #core: CellTaker;

  constructor(link: Link, buffer: PacketBuffer, trace: Trace, core: CellTaker) {
    super(link, trace);
    this.#link = link;
    this.#buffer = buffer;
    this.#trace = trace;
    this.#core = core;
  }

  protected override moveOne(now: number): boolean {
    const link = this.#link;
    const neighbour = link.receive(this.#buffer);
    if (neighbour === NOTHING) return false;
    // What came together goes on together.
    if (link.hasMore) link.cork();
    if (neighbour === STRANGER) this.#trace.counters.count("unknown-peer");
    else this.#core.fromLink(neighbour, this.#buffer, now);
    return true;
  }
}

/** Counts the cells that a link has refused: mostly none. */
export function countRefused(cells: number, { counters }: Trace): void {
  if (cells > 0) counters.count("link-refused", cells);
}
