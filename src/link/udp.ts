/**
 * Data links over UDP.
 *
 * @module
 */
import { HEADROOM, MAX_PACKET, type PacketBuffer } from "../bytes/packet_buffer.ts";
import { Fd } from "../sys/fd.ts";
import { NO_DATAGRAM, SockaddrIn, type SocketAddress, UdpSocket } from "../sys/udp.ts";
import { type Link, NOTHING, type Peer, STRANGER } from "./link.ts";

/** A data link over a UDP socket. Datagrams of anyone but its peers are a {@linkcode STRANGER}'s. */
export class UdpLink implements Link {
  readonly #socket: UdpSocket;
  readonly #peers: readonly SockaddrIn[];

  /**
   * @param fd a bound UDP socket that somebody else owns and keeps open
   * @param peers the neighbours; their index is their {@linkcode Peer}
   */
  constructor(fd: number, peers: readonly SocketAddress[]) {
    this.#socket = new UdpSocket(new Fd(fd));
    this.#peers = peers.map((peer) => new SockaddrIn(peer));
  }

  /** {@inheritDoc Link.receive} */
  receive(into: PacketBuffer): Peer {
    const length = this.#socket.receive(into.from(HEADROOM), MAX_PACKET);
    if (length === NO_DATAGRAM) return NOTHING;
    into.hold(length);
    const { port, address } = this.#socket.sender;
    for (let peer = 0; peer < this.#peers.length; peer++) {
      const known = this.#peers[peer]!;
      if (known.port === port && known.address === address) return peer;
    }
    return STRANGER;
  }

  /** {@inheritDoc Link.send} */
  send(peer: Peer, datagram: PacketBuffer): boolean {
    return this.#socket.send(datagram.from(datagram.start), datagram.length, this.#peers[peer]!);
  }
}
