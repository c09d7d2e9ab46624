/**
 * Raw ICMP sockets (raw(7), ip(7)).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { Fd, NO_PACKET, readPacket } from "./fd.ts";
import { check, errno, libcWith } from "./libc.ts";
import { LastPointer, pointerTo } from "./pointer.ts";
import {
  AF_INET,
  int,
  openSocket,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from "./socket.ts";
import { enlargeBuffers, SOCKADDR_IN, SockaddrIn } from "./udp.ts";
import { formatIp, type IpAddress, UNSPECIFIED } from "../ip/address.ts";

const libc = libcWith("socket", "setsockopt", "getsockopt", "bind", "connect", "sendto");

/** `<asm-generic/socket.h>` */
const SO_MARK = 36;

/** `<netinet/in.h>`, `<linux/in.h>`. */
const IPPROTO_IP = 0;
const IPPROTO_ICMP = 1;
const IP_TOS = 1;
const IP_TTL = 2;
const IP_MTU_DISCOVER = 10;
/** The path MTU of a connected socket. */
const IP_MTU = 14;
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

/**
 * The binding of an exit's socket. It names no interface: such a socket would be dead for good once
 * its interface is unplugged, and would not receive the kernel's own errors, which come by the
 * loopback interface.
 */
export interface RawIcmpBinding {
  /** The source of sent packets, and the destination of received ones. */
  readonly address: IpAddress;
  /** The mark of sent packets, for routing rules. */
  readonly mark: number;
  /** The ICMP types to receive. */
  readonly types: readonly number[];
}

/**
 * Opens a raw ICMP socket that never blocks.
 *
 * @param bufferSize bytes that the kernel may queue in each direction, up to its own limit
 * @throws {SysError} EPERM without CAP_NET_RAW, EADDRNOTAVAIL
 */
export function openRawIcmp(binding: RawIcmpBinding, bufferSize: number): Fd {
  const doing = `Cannot open a raw ICMP socket on ${formatIp(binding.address)}`;
  const fd = openSocket(doing, AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
  return fd.prepared((number) => {
    const set = (level: number, option: number, value: number) =>
      check(libc.setsockopt(number, level, option, int(value), 4), doing, "setsockopt");
    set(SOL_RAW, ICMP_FILTER, binding.types.reduce((blocked, type) => blocked & ~(1 << type), -1));
    set(SOL_SOCKET, SO_MARK, binding.mark);
    const local = new SockaddrIn({ address: binding.address, port: 0 });
    check(libc.bind(number, local.bytes, SOCKADDR_IN), doing, "bind");
    enlargeBuffers(number, bufferSize);
  });
}

/**
 * MTU in bytes of the way to a host, for a socket with this binding; undefined if there is no way.
 * A connected UDP socket tells it. No packet is sent.
 */
export function mtuTowards(
  destination: IpAddress,
  { address, mark }: Pick<RawIcmpBinding, "address" | "mark">,
): number | undefined {
  const number = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (number < 0) return undefined;
  using fd = new Fd(number);
  const [local, remote] = [address, destination].map((end) =>
    new SockaddrIn({ address: end, port: 0 }).bytes
  );
  const value = new DataView(new ArrayBuffer(4));
  const bytes = new Uint8Array(value.buffer);
  const isTold = libc.setsockopt(fd.number, SOL_SOCKET, SO_MARK, int(mark), 4) === 0 &&
    libc.bind(fd.number, local!, SOCKADDR_IN) === 0 &&
    libc.connect(fd.number, remote!, SOCKADDR_IN) === 0 &&
    libc.getsockopt(fd.number, IPPROTO_IP, IP_MTU, bytes, int(4)) === 0;
  return isTold ? value.getInt32(0, true) : undefined;
}

/**
 * Receives one IPv4 packet. The kernel has reassembled fragments.
 *
 * @param room bytes that may be written
 * @returns its length, or {@linkcode NO_PACKET}
 * @throws {SysError}
 */
export function receiveRaw(fd: number, into: Uint8Array<ArrayBuffer>, room: number): number {
  return readPacket(fd, into, room, "Cannot receive from the raw ICMP socket");
}

export { NO_PACKET };

/** Fields of the IPv4 header that the kernel writes in front of a message. */
interface RawIcmpFields {
  readonly destination: IpAddress;
  readonly ttl: number;
  readonly typeOfService: number;
  readonly dontFragment: boolean;
}

/** The outcome of sending. The last one is for lack of room, and the like. */
type Sent = "sent" | "too-long" | "no-network" | "no-host" | "prohibited" | "refused";

function resultOf(error: number): Sent {
  switch (error) {
    case Errno.EMSGSIZE:
      return "too-long";
    case Errno.EACCES: // a route that prohibits stands in the place of one whose interface is down
    case Errno.EINVAL: // the interface has lost its address
    case Errno.ENODEV:
    case Errno.ENETDOWN:
    case Errno.ENETUNREACH:
      return "no-network";
    case Errno.EHOSTUNREACH:
      return "no-host";
    case Errno.EPERM: // the firewall
      return "prohibited";
    default:
      return "refused";
  }
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
  send(from: Uint8Array<ArrayBuffer>, length: number, fields: RawIcmpFields): Sent {
    const { ttl, typeOfService, destination } = fields;
    const discover = fields.dontFragment ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT;
    if (ttl !== this.#ttl) this.#set(IP_TTL, this.#ttl = ttl);
    if (typeOfService !== this.#typeOfService) this.#set(IP_TOS, this.#typeOfService = typeOfService);
    if (discover !== this.#discover) this.#set(IP_MTU_DISCOVER, this.#discover = discover);
    this.#to.address = destination;
    if (libc.sendto(this.#fd, this.#from.to(from), length, 0, this.#toPointer, SOCKADDR_IN) === length) {
      return "sent";
    }
    return resultOf(errno());
  }

  #set(option: number, value: number): void {
    libc.setsockopt(this.#fd, IPPROTO_IP, option, int(value), 4);
  }
}
