/**
 * The raw ICMP exit's socket. The router's control thread opens it; its packet thread uses it by
 * the descriptor.
 *
 * @module
 */
import { HEADROOM, MAX_PACKET, type PacketBuffer } from "../../buffer/packet_buffer.ts";
import { IcmpType } from "../../ip/icmp.ts";
import type { Fd } from "../../sys/fd.ts";
import {
  NO_PACKET,
  openRawIcmp,
  type RawIcmpBinding,
  RawIcmpSender,
  receiveRaw,
} from "../../sys/raw_icmp.ts";
import type { IcmpSocket, OutgoingFields, SendResult } from "./core.ts";
import type { RawIcmpSettings } from "./settings.ts";

/** The ICMP types that the exit receives from the world. */
const WORLD_TYPES = [
  IcmpType.echoReply,
  IcmpType.destinationUnreachable,
  IcmpType.timeExceeded,
  IcmpType.parameterProblem,
];

/**
 * Opens the socket of an exit.
 *
 * @param bufferSize bytes that the kernel may queue in each direction
 * @throws {SysError} EPERM without CAP_NET_RAW, ENODEV, EADDRNOTAVAIL
 */
export function openDevice(settings: RawIcmpSettings, bufferSize: number): Fd {
  return openRawIcmp(bindingOf(settings), bufferSize);
}

/** What an exit's socket is bound to. */
export function bindingOf({ address, device, mark }: RawIcmpSettings): RawIcmpBinding {
  return { address, device, types: WORLD_TYPES, ...(mark !== undefined && { mark }) };
}

/** A raw ICMP socket of the kernel. */
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
