/**
 * The raw ICMP exit's socket, by its descriptor.
 *
 * @module
 */
import { HEADROOM, MAX_PACKET, type PacketBuffer } from "../../buffer/packet_buffer.ts";
import { NO_PACKET, RawIcmpSender, receiveRaw } from "../../sys/raw_icmp.ts";
import type { IcmpSocket, OutgoingFields, SendResult } from "./core.ts";

/** A raw ICMP socket of the kernel's. */
export class RawIcmpSocket implements IcmpSocket {
  /** {@inheritDoc IcmpSocket.fd} */
  readonly fd: number;
  readonly #sender: RawIcmpSender;

  /** @param fd a descriptor that somebody else owns and keeps open */
  constructor(fd: number) {
    this.fd = fd;
    this.#sender = new RawIcmpSender(fd);
  }

  /** {@inheritDoc IcmpSocket.send} */
  send(buffer: PacketBuffer, from: number, fields: OutgoingFields): SendResult {
    return this.#sender.send(buffer.from(from), buffer.end - from, fields);
  }

  /** {@inheritDoc IcmpSocket.receive} */
  receive(into: PacketBuffer): boolean {
    const length = receiveRaw(this.fd, into.from(HEADROOM), MAX_PACKET);
    if (length === NO_PACKET) return false;
    into.hold(length);
    return true;
  }
}
