/**
 * Sources: what a node reads packets from. A turn of a source moves at most a burst.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import { type Link, NOTHING, STRANGER } from "../device/link.ts";
import type { Trace } from "../trace/trace.ts";
import { SOURCE } from "./scheduling.ts";

/** A source of packets. */
export interface Source {
  /** The descriptor that is readable while packets wait; undefined for a device in memory. */
  readonly fd: number | undefined;
  /** Whether it brings answers that this host waits for. The loop looks for those early. */
  readonly bringsAnswers: boolean;
  /**
   * Moves the packets that wait, at most a burst.
   *
   * @param now ms of a clock that never goes back
   * @returns how many packets that were
   */
  move(now: number): number;
}

/** The parts that all sources of a node share. */
interface SourceParts {
  /** The link that the packets leave by or come from. */
  readonly link: Link;
  /**
   * Holds one packet. The sources can share it, because they take turns and copy what they keep.
   */
  readonly buffer: PacketBuffer;
  readonly trace: Trace;
}

/** A source whose packets leave by a link or come from it. */
abstract class PacketSource implements Source {
  abstract readonly fd: number | undefined;
  abstract readonly bringsAnswers: boolean;
  protected readonly buffer: PacketBuffer;
  protected readonly trace: Trace;
  readonly #link: Link;
  /** The time of its last turn. */
  #before = -Infinity;

  constructor({ link, buffer, trace }: SourceParts) {
    this.#link = link;
    this.buffer = buffer;
    this.trace = trace;
  }

  /**
   * {@inheritDoc Source.move}
   *
   * The first packet of a burst leaves at once, because it may be the only one. The others leave
   * together at the end of the burst.
   */
  move(now: number): number {
    const link = this.#link;
    const most = now - this.#before > SOURCE.aloneAfter ? 1 : SOURCE.burst;
    this.#before = now;
    let count = 0;
    while ((count < most || link.hasMore) && this.moveOne(now)) {
      if (++count === 1) link.cork();
    }
    if (count > 0) countRefused(link.uncork(), this.trace);
    return count;
  }

  /** Moves one packet, if there is one. Returns whether there was. */
  protected abstract moveOne(now: number): boolean;
}

/** A device that is read one packet at a time, without blocking. */
interface Device {
  /** See {@linkcode Source.fd}. */
  readonly fd: number | undefined;
  /** Fills `into` with the next packet. Returns whether there was one. */
  receive(into: PacketBuffer): boolean;
}

/** Takes a packet of a device. The buffer is used up. */
type TakePacket = (packet: PacketBuffer, now: number) => void;

/** The packets of a device. */
export class DeviceSource extends PacketSource {
  /** {@inheritDoc Source.fd} */
  readonly fd: number | undefined;
  /** {@inheritDoc Source.bringsAnswers} */
  readonly bringsAnswers = false;
  readonly #device: Device;
  readonly #take: TakePacket;

  /** Passes the packets of `device` to `take`. */
  constructor(
    { device, take, ...parts }: SourceParts & { readonly device: Device; readonly take: TakePacket },
  ) {
    super(parts);
    this.fd = device.fd;
    this.#device = device;
    this.#take = take;
  }

  protected override moveOne(now: number): boolean {
    if (!this.#device.receive(this.buffer)) return false;
    this.#take(this.buffer, now);
    return true;
  }
}

/** Takes the cells of a link. */
interface CellTaker {
  /** Takes a cell from the neighbour of this index. The buffer is used up. */
  fromLink(neighbour: number, cell: PacketBuffer, now: number): void;
}

/** The cells of a link. */
export class LinkSource extends PacketSource {
  /** {@inheritDoc Source.fd} */
  readonly fd: number | undefined;
  /** {@inheritDoc Source.bringsAnswers} */
  readonly bringsAnswers: boolean;
  readonly #link: Link;
  readonly #core: CellTaker;

  /** Passes the cells of the link to `core`. */
  constructor(
    { core, bringsAnswers, ...parts }: SourceParts & {
      readonly core: CellTaker;
      readonly bringsAnswers: boolean;
    },
  ) {
    super(parts);
    this.fd = parts.link.fd;
    this.bringsAnswers = bringsAnswers;
    this.#link = parts.link;
    this.#core = core;
  }

  protected override moveOne(now: number): boolean {
    const link = this.#link;
    const neighbour = link.receive(this.buffer);
    if (neighbour === NOTHING) return false;
    // Cells that came as one train go on as one.
    if (link.hasMore) link.cork();
    if (neighbour === STRANGER) this.trace.counters.count("unknown-peer");
    else this.#core.fromLink(neighbour, this.buffer, now);
    return true;
  }
}

/** Counts the cells that a link has refused, if any. */
export function countRefused(cells: number, { counters }: Trace): void {
  if (cells > 0) counters.count("link-refused", cells);
}
