/**
 * The TUN interface of Linux.
 *
 * @module
 */
import { HEADROOM, MAX_PACKET, type PacketBuffer } from "../buffer/packet_buffer.ts";
import { NO_PACKET, readPacket } from "../sys/fd.ts";
import { writePacket } from "../sys/tun.ts";
import type { Tun } from "./tun.ts";

/** A TUN interface, used by an attached descriptor. */
export class LinuxTun implements Tun {
  /** {@inheritDoc Tun.fd} */
  readonly fd: number;

  /**
   * The interface that `fd` is attached to.
   *
   * @param fd a descriptor; the caller keeps it open
   */
  constructor(fd: number) {
    this.fd = fd;
  }

  /** {@inheritDoc Tun.receive} */
  receive(into: PacketBuffer): boolean {
    const length = readPacket(this.fd, into.from(HEADROOM), MAX_PACKET, "Cannot read from the TUN device");
    if (length === NO_PACKET) return false;
    into.hold(length);
    return true;
  }

  /** {@inheritDoc Tun.send} */
  send(packet: PacketBuffer): boolean {
    return writePacket(this.fd, packet.from(packet.start), packet.length);
  }
}
