/**
 * Data links over UDP.
 *
 * @module
 */
import { HEADROOM, type PacketBuffer } from "../buffer/packet_buffer.ts";
import { LONGEST_TRAIN, NO_DATAGRAM, SockaddrIn, UdpReceiver, UdpSender } from "../sys/udp.ts";
import { type Link, type Neighbour, NOTHING, STRANGER } from "./link.ts";
import type { Endpoint } from "../ip/address.ts";

/**
 * A data link over a UDP socket. Corked datagrams of one length to one neighbour travel in trains,
 * because a datagram's way through the kernel is most of its cost. Datagrams of others than the
 * neighbours come from a {@linkcode STRANGER}.
 */
export class UdpLink implements Link {
  /** {@inheritDoc Link.fd} */
  readonly fd: number;
  readonly #receiver: UdpReceiver;
  readonly #sender: UdpSender;
  readonly #neighbours: (SockaddrIn | undefined)[];
  /**
   * The rest of the last train received: its sender, its length, and the start of the next
   * datagram.
   */
  readonly #train = new Uint8Array(LONGEST_TRAIN);
  #from: Neighbour = STRANGER;
  #length = 0;
  #next = 0;
  /** Whether datagrams wait for others to form a train. */
  #isCorked = false;
  /** Refused datagrams of trains that left before the cork was removed. */
  #refused = 0;

  /**
   * A link to these neighbours. Their index is their {@linkcode Neighbour}.
   *
   * @param fd a bound UDP socket; the caller keeps it open
   */
  constructor(fd: number, neighbours: readonly Endpoint[]) {
    this.fd = fd;
    this.#receiver = new UdpReceiver(fd);
    this.#sender = new UdpSender(fd);
    this.#neighbours = neighbours.map((neighbour) => new SockaddrIn(neighbour));
  }

  /** {@inheritDoc Link.receive} */
  receive(into: PacketBuffer): Neighbour {
    if (this.hasMore) return this.#receiveRest(into);
    const length = this.#receiver.receive(into.bytes, HEADROOM);
    if (length === NO_DATAGRAM) return NOTHING;
    this.#from = this.#sentBy();
    const { segment } = this.#receiver;
    if (segment >= length) {
      into.hold(length);
      return this.#from;
    }
    this.#train.set(into.bytes.subarray(HEADROOM + segment, HEADROOM + length));
    this.#next = 0;
    this.#length = length - segment;
    into.hold(segment);
    return this.#from;
  }

  /** {@inheritDoc Link.hasMore} */
  get hasMore(): boolean {
    return this.#next < this.#length;
  }

  /** {@inheritDoc Link.send} */
  send(neighbour: Neighbour, datagram: PacketBuffer): boolean {
    if (datagram.length > LONGEST_TRAIN) return false;
    const { bytes, start, end } = datagram;
    const to = this.#neighbours[neighbour];
    if (to === undefined) return false;
    if (!this.#isCorked) return this.#sender.send(bytes, start, end, to);
    this.#refused += this.#sender.add(bytes, start, end, to);
    return true;
  }

  /** {@inheritDoc Link.replaceNeighbour} */
  replaceNeighbour(neighbour: Neighbour, by: Endpoint | undefined): void {
    this.#neighbours[neighbour] = by && new SockaddrIn(by);
  }

  /** {@inheritDoc Link.cork} */
  cork(): void {
    this.#isCorked = true;
  }

  /** {@inheritDoc Link.uncork} */
  uncork(): number {
    this.#isCorked = false;
    const refused = this.#refused + this.#sender.flush();
    this.#refused = 0;
    return refused;
  }

  /** {@inheritDoc Link.deadline} */
  readonly deadline: number = Infinity;

  /** {@inheritDoc Link.expire} */
  expire(): void {}

  #receiveRest(into: PacketBuffer): Neighbour {
    const end = Math.min(this.#next + this.#receiver.segment, this.#length);
    into.load(this.#train.subarray(this.#next, end));
    this.#next = end;
    return this.#from;
  }

  #sentBy(): Neighbour {
    const { port, address } = this.#receiver.sender;
    for (let neighbour = 0; neighbour < this.#neighbours.length; neighbour++) {
      const known = this.#neighbours[neighbour];
      if (known?.port === port && known.address === address) return neighbour;
    }
    return STRANGER;
  }
}
