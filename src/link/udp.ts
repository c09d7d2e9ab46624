/**
 * Data links over UDP.
 *
 * @module
 */
import { HEADROOM, type PacketBuffer } from "../bytes/packet_buffer.ts";
import {
  LONGEST_TRAIN,
  NO_DATAGRAM,
  SockaddrIn,
  type SocketAddress,
  UdpReceiver,
  UdpSender,
} from "../sys/udp.ts";
import { type Link, NOTHING, type Peer, STRANGER } from "./link.ts";

/**
 * A data link over a UDP socket. Datagrams of anyone but its peers are a {@linkcode STRANGER}'s. Datagrams of one
 * length travel by the train where there are many: most of what one costs is its way through the kernel.
 */
export class UdpLink implements Link {
  readonly #receiver: UdpReceiver;
  readonly #sender: UdpSender;
  readonly #peers: readonly SockaddrIn[];
  /** The train that was received last: its sender, its length, and where the next datagram begins. */
  #from: Peer = STRANGER;
  #length = 0;
  #next = 0;
  /** Datagrams that were refused when a train left to make room. */
  #refused = 0;

  /**
   * @param fd a bound UDP socket that somebody else owns and keeps open
   * @param peers the neighbours; their index is their {@linkcode Peer}
   */
  constructor(fd: number, peers: readonly SocketAddress[]) {
    this.#receiver = new UdpReceiver(fd);
    this.#sender = new UdpSender(fd);
    this.#peers = peers.map((peer) => new SockaddrIn(peer));
  }

  /** {@inheritDoc Link.receive} */
  receive(into: PacketBuffer): Peer {
    if (this.#next === this.#length) {
      this.#next = this.#length = 0;
      const length = this.#receiver.receive();
      if (length === NO_DATAGRAM) return NOTHING;
      this.#length = length;
      this.#from = this.#sentBy();
    }
    const { bytes, segment } = this.#receiver;
    const end = Math.min(this.#next + segment, this.#length);
    into.bytes.set(bytes.subarray(this.#next, end), HEADROOM);
    into.hold(end - this.#next);
    this.#next = end;
    return this.#from;
  }

  /** {@inheritDoc Link.hasMore} */
  get hasMore(): boolean {
    return this.#next < this.#length;
  }

  /** {@inheritDoc Link.send} */
  send(peer: Peer, datagram: PacketBuffer): boolean {
    if (datagram.length > LONGEST_TRAIN) return false;
    this.#refused += this.#sender.add(datagram.bytes, datagram.start, datagram.end, this.#peers[peer]!);
    return true;
  }

  /** {@inheritDoc Link.flush} */
  flush(): number {
    const refused = this.#refused + this.#sender.flush();
    this.#refused = 0;
    return refused;
  }

  /** {@inheritDoc Link.deadline} */
  readonly deadline: number = Infinity;

  /** {@inheritDoc Link.expire} */
  expire(): void {}

  #sentBy(): Peer {
    const { port, address } = this.#receiver.sender;
    for (let peer = 0; peer < this.#peers.length; peer++) {
      const known = this.#peers[peer]!;
      if (known.port === port && known.address === address) return peer;
    }
    return STRANGER;
  }
}
