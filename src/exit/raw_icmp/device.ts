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
  mtuTowards,
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
 * @throws {SysError} EPERM without CAP_NET_RAW, EADDRNOTAVAIL
 */
export function openDevice(settings: RawIcmpSettings, bufferSize: number): Fd {
  return openRawIcmp(bindingOf(settings), bufferSize);
}

/** What an exit's socket is bound to. */
export function bindingOf({ address, mark }: RawIcmpSettings): RawIcmpBinding {
  return { address, mark, types: WORLD_TYPES };
}

/** A raw ICMP socket of the kernel. */
export class RawIcmpSocket implements IcmpSocket {
  /** {@inheritDoc IcmpSocket.fd} */
  readonly fd: number;
  /** {@inheritDoc IcmpSocket.mtu} */
  mtu = MAX_PACKET;
  readonly #binding: RawIcmpBinding;
  readonly #sender: RawIcmpSender;

  /** @param fd a descriptor with this binding that somebody else owns and keeps open */
  constructor(fd: number, binding: RawIcmpBinding) {
    this.fd = fd;
    this.#binding = binding;
    this.#sender = new RawIcmpSender(fd);
  }

  /** {@inheritDoc IcmpSocket.send} */
  send(buffer: PacketBuffer, from: number, fields: OutgoingFields): SendResult {
    const result = this.#sender.send(buffer.from(from), buffer.end - from, fields);
    // Asked each time, because it may change during a run.
    if (result === "too-long") this.mtu = mtuTowards(fields.destination, this.#binding) ?? this.mtu;
    return result;
  }

  /** {@inheritDoc IcmpSocket.receive} */
  receive(into: PacketBuffer): boolean {
    const length = receiveRaw(this.fd, into.from(HEADROOM), MAX_PACKET);
    if (length === NO_PACKET) return false;
    into.hold(length);
    return true;
  }
}
