/**
 * Raw ICMP sockets (raw(7), ip(7)).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { Fd } from "./fd.ts";
import { check, cString, errno, libcWith } from "./libc.ts";
import { LastPointer, pointerTo } from "./pointer.ts";
import { enlargeBuffers, SOCKADDR_IN, SockaddrIn } from "./udp.ts";
import { type IpAddress, UNSPECIFIED } from "../ip/address.ts";

const libc = libcWith("socket", "setsockopt", "bind", "read", "sendto");

/** `<sys/socket.h>`, asm-generic. */
const AF_INET = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const SO_MARK = 36;

/** `<netinet/in.h>`, `<linux/in.h>`. */
const IPPROTO_IP = 0;
const IPPROTO_ICMP = 1;
const IP_TOS = 1;
const IP_TTL = 2;
const IP_MTU_DISCOVER = 10;
/** Clear don't-fragment, and fragment long packets. */
const IP_PMTUDISC_DONT = 0;
/**
 * Set don't-fragment, and refuse only what exceeds the first link's MTU. The client discovers the
 * path MTU.
 */
const IP_PMTUDISC_PROBE = 3;

/** `<linux/icmp.h>`: a bitmap of the types to drop. */
const SOL_RAW = 255;
const ICMP_FILTER = 1;

/** The binding of an exit's socket. */
export interface RawIcmpBinding {
  /** The source of sent packets, and the destination of received ones. */
  readonly address: IpAddress;
  /** The interface to send and receive by. */
  readonly device: string;
  /** The mark of sent packets, if routing rules need one. */
  readonly mark?: number;
  /** The ICMP types to receive. */
  readonly types: readonly number[];
}

/**
 * Opens a raw ICMP socket that never blocks.
 *
 * @param bufferSize bytes that the kernel may queue in each direction, up to its own limit
 * @throws {SysError} EPERM without CAP_NET_RAW, ENODEV, EADDRNOTAVAIL
 */
export function openRawIcmp(binding: RawIcmpBinding, bufferSize: number): Fd {
  const doing = `Cannot open a raw ICMP socket on ${binding.device}`;
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = new Fd(check(libc.socket(AF_INET, type, IPPROTO_ICMP), doing, "socket"));
  try {
    const set = (level: number, option: number, value: Uint8Array<ArrayBuffer>) =>
      check(libc.setsockopt(fd.number, level, option, value, value.length), doing, "setsockopt");
    const filter = binding.types.reduce((blocked, type) => blocked & ~(1 << type), -1);
    set(SOL_RAW, ICMP_FILTER, int(filter));
    set(SOL_SOCKET, SO_BINDTODEVICE, cString(binding.device));
    if (binding.mark !== undefined) set(SOL_SOCKET, SO_MARK, int(binding.mark));
    const local = new SockaddrIn({ address: binding.address, port: 0 });
    check(libc.bind(fd.number, local.bytes, SOCKADDR_IN), doing, "bind");
    enlargeBuffers(fd.number, bufferSize);
    return fd;
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
}

const receivedTo = new LastPointer();

/** The result of {@linkcode receiveRaw} if no packet is queued. */
export const NO_PACKET = -1;

/**
 * Receives one IPv4 packet. The kernel has reassembled fragments.
 *
 * @param room bytes that may be written
 * @returns its length, or {@linkcode NO_PACKET}
 * @throws {SysError}
 */
export function receiveRaw(fd: number, into: Uint8Array<ArrayBuffer>, room: number): number {
  const length = libc.read(fd, receivedTo.to(into), room);
  if (length >= 0) return length;
  const error = errno();
  if (error === Errno.EAGAIN || error === Errno.EINTR) return NO_PACKET;
  return check(length, "Cannot receive from the raw ICMP socket", "read");
}

/** Fields of the IPv4 header that the kernel writes in front of a message. */
interface RawIcmpFields {
  readonly destination: IpAddress;
  readonly ttl: number;
  readonly typeOfService: number;
  readonly dontFragment: boolean;
}

/** Sends by one socket. Sets a socket option only when it changes between messages. */
export class RawIcmpSender {
  readonly #fd: number;
  readonly #to = new SockaddrIn({ address: UNSPECIFIED, port: 0 });
  readonly #toPointer = pointerTo(this.#to.bytes);
  readonly #from = new LastPointer();
  #ttl = -1;
  #typeOfService = -1;
  #discover = -1;

  /** @param fd a raw ICMP socket, which the caller keeps open */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Sends the ICMP message in the first `length` bytes of `from`. */
  send(
    from: Uint8Array<ArrayBuffer>,
    length: number,
    fields: RawIcmpFields,
  ): "sent" | "too-long" | "refused" {
    const { ttl, typeOfService, destination } = fields;
    const discover = fields.dontFragment ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT;
    if (ttl !== this.#ttl) this.#set(IP_TTL, this.#ttl = ttl);
    if (typeOfService !== this.#typeOfService) this.#set(IP_TOS, this.#typeOfService = typeOfService);
    if (discover !== this.#discover) this.#set(IP_MTU_DISCOVER, this.#discover = discover);
    this.#to.address = destination;
    if (libc.sendto(this.#fd, this.#from.to(from), length, 0, this.#toPointer, SOCKADDR_IN) === length) {
      return "sent";
    }
    return errno() === Errno.EMSGSIZE ? "too-long" : "refused";
  }

  #set(option: number, value: number): void {
    const bytes = int(value);
    libc.setsockopt(this.#fd, IPPROTO_IP, option, bytes, bytes.length);
  }
}

/** A C `int`. */
function int(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Int32Array([value]).buffer);
}
