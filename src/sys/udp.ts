/**
 * UDP sockets over IPv4 that never block.
 *
 * @module
 */
import { Errno } from "./errno.ts";
import type { Fd } from "./fd.ts";
import { check, errno, libcWith } from "./libc.ts";
import { type Address, addressOf, MessageHeader } from "./message.ts";
import { cStruct, fieldsOf, pointerTo } from "./pointer.ts";
import { AF_INET, int, openSocket, SOCK_DGRAM, SOCK_NONBLOCK, SOL_SOCKET } from "./socket.ts";
import { takeLoopbackOnly } from "./socket_filter.ts";
import { type Endpoint, type IpAddress, readAddress, UNSPECIFIED, writeAddress } from "../ip/address.ts";

const libc = libcWith("setsockopt", "bind", "getsockname", "recvfrom", "recvmsg", "sendmsg", "sendto");

/** `<asm-generic/socket.h>` */
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

/** `<netinet/udp.h>` */
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;

/** Bytes of the longest UDP datagram over IPv4, and of the longest train of datagrams. */
export const LONGEST_TRAIN = 65_507;

/** Max datagrams in a train, for every kernel (UDP_MAX_SEGMENTS). */
const MAX_SEGMENTS = 64;

/** The result of {@linkcode UdpReceiver.receive} if no datagram is queued. */
export const NO_DATAGRAM = -1;

/**
 * Bytes of a `struct sockaddr_in`: family (host order), port and address (network order), eight of
 * padding.
 */
export const SOCKADDR_IN = 16;

/** A `struct sockaddr_in` in memory. */
export class SockaddrIn {
  readonly bytes: Uint8Array<ArrayBuffer> = cStruct(SOCKADDR_IN);
  readonly #view = fieldsOf(this.bytes);
  /** Its memory address. */
  readonly location: Address = addressOf(this.bytes);

  constructor({ address, port }: Endpoint) {
    this.#view.setUint16(0, AF_INET, true);
    this.#view.setUint16(2, port);
    writeAddress(this.#view, 4, address);
  }

  get port(): number {
    return this.#view.getUint16(2);
  }

  get address(): IpAddress {
    return readAddress(this.#view, 4);
  }

  set address(address: IpAddress) {
    writeAddress(this.#view, 4, address);
  }
}

/** Lets the kernel queue up to `size` bytes in each direction of a socket, up to its own limit. */
export function enlargeBuffers(fd: number, size: number): void {
  const value = int(size);
  // The …FORCE options exceed the system's limit, but need CAP_NET_ADMIN.
  for (const [force, plain] of [[SO_RCVBUFFORCE, SO_RCVBUF], [SO_SNDBUFFORCE, SO_SNDBUF]] as const) {
    if (libc.setsockopt(fd, SOL_SOCKET, force, value, value.length) < 0) {
      libc.setsockopt(fd, SOL_SOCKET, plain, value, value.length);
    }
  }
}

/** A bound UDP socket. */
export class UdpSocket implements Disposable {
  readonly fd: Fd;

  /** @param fd an open UDP socket; the new object owns it */
  constructor(fd: Fd) {
    this.fd = fd;
  }

  /**
   * Opens a socket that is bound to `address` and a port of the kernel's choice.
   *
   * @param bufferSize bytes that the kernel may queue in each direction, up to its own limit
   * @throws {SysError}
   */
  static bind(address: IpAddress, bufferSize: number): UdpSocket {
    return UdpSocket.#open(address, bufferSize, () => {});
  }

  /**
   * Opens a socket for the processes of this machine, on a port of the kernel's choice. It occupies
   * the port at every address and interface. If it had only 127.0.0.1, another user's socket with
   * the same port at 127.0.0.2 could send in its name (IP_PKTINFO, ip(7)). If it were bound to
   * `lo`, a socket bound to another interface could.
   *
   * @param bufferSize bytes that the kernel may queue in each direction, up to its own limit
   * @throws {SysError}
   */
  static bindLoopback(bufferSize: number): UdpSocket {
    // Keeps out packets from outside. On a kernel without filters they are counted as strangers.
    return UdpSocket.#open(UNSPECIFIED, bufferSize, takeLoopbackOnly);
  }

  static #open(address: IpAddress, bufferSize: number, prepare: (fd: number) => unknown): UdpSocket {
    const doing = "Cannot open the data link";
    const fd = openSocket(doing, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    return new UdpSocket(fd.prepared((number) => {
      prepare(number);
      const local = new SockaddrIn({ address, port: 0 });
      check(libc.bind(number, local.bytes, SOCKADDR_IN), doing, "bind");
      enlargeBuffers(number, bufferSize);
    }));
  }

  /** Its local port. */
  get localPort(): number {
    const local = new SockaddrIn({ address: UNSPECIFIED, port: 0 });
    check(
      libc.getsockname(this.fd.number, local.bytes, int(SOCKADDR_IN)),
      "Cannot open the data link",
      "getsockname",
    );
    return local.port;
  }

  /**
   * Sends an empty datagram. Returns whether the kernel accepted it. For single datagrams;
   * {@linkcode UdpSender} is for many.
   */
  greet(neighbour: Endpoint): boolean {
    const to = new SockaddrIn(neighbour);
    return libc.sendto(this.fd.number, null, 0, 0, pointerTo(to.bytes), SOCKADDR_IN) === 0;
  }

  /** Takes a datagram that waits, and returns only its sender; undefined if none waits. */
  takeSender(): Endpoint | undefined {
    const sender = new SockaddrIn({ address: UNSPECIFIED, port: 0 });
    const length = new Uint8Array(new Uint32Array([SOCKADDR_IN]).buffer);
    // The kernel discards what does not fit.
    const taken = libc.recvfrom(this.fd.number, new Uint8Array(1), 1, 0, sender.bytes, length);
    return taken < 0 ? undefined : { address: sender.address, port: sender.port };
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }
}

/** Receives datagrams. One system call may return several of one length from one sender. */
export class UdpReceiver {
  /** The sender of the last datagrams. */
  readonly sender: SockaddrIn = new SockaddrIn({ address: UNSPECIFIED, port: 0 });
  /** Bytes of each of these datagrams; the last may be shorter. */
  segment = 0;
  readonly #fd: number;
  readonly #message = new MessageHeader();

  /** @param fd a bound UDP socket, which the caller keeps open */
  constructor(fd: number) {
    this.#fd = fd;
    this.#message.setName(this.sender.bytes, this.sender.location);
    // A kernel before 5.0 refuses, and delivers datagrams one by one.
    libc.setsockopt(fd, SOL_UDP, UDP_GRO, int(1), 4);
  }

  /**
   * Receives the next datagram, or a train of adjacent datagrams.
   *
   * @param into has space for {@linkcode LONGEST_TRAIN} bytes from `offset` on
   * @returns total bytes, 0 for an empty datagram; or {@linkcode NO_DATAGRAM}
   * @throws {RangeError} if there is less space
   * @throws {SysError}
   */
  receive(into: Uint8Array<ArrayBuffer>, offset: number): number {
    if (into.length - offset < LONGEST_TRAIN) throw new RangeError("no room for the longest train");
    this.#message.setData(into, offset, LONGEST_TRAIN);
    this.#message.expectControl();
    const length = libc.recvmsg(this.#fd, this.#message.pointer, 0);
    if (length < 0) {
      const error = errno();
      // ECONNREFUSED is about an earlier datagram that we sent, so it does not matter here.
      if (error === Errno.EAGAIN || error === Errno.EINTR || error === Errno.ECONNREFUSED) return NO_DATAGRAM;
      return check(length, "Cannot receive from the data link", "recvmsg");
    }
    this.segment = this.#message.control(SOL_UDP, UDP_GRO) ?? length;
    return length;
  }
}

/**
 * Sends datagrams, several by one system call (UDP_SEGMENT, udp(7)). The datagrams of such a train
 * go to one address and have one length, except that the last may be shorter. The kernel handles a
 * train as one packet.
 */
export class UdpSender {
  readonly #fd: number;
  readonly #single = new MessageHeader();
  readonly #train = new Uint8Array(LONGEST_TRAIN);
  readonly #message = new MessageHeader();
  #to: SockaddrIn | undefined;
  #segment = 0;
  #length = 0;
  #count = 0;
  /** Whether a shorter datagram has completed the train. */
  #isClosed = false;
  /** Whether the kernel supports trains, as it does since 4.18. */
  #takesTrains = true;

  /** @param fd a bound UDP socket, which the caller keeps open */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Sends one datagram, `bytes[start, end)`, at most {@linkcode LONGEST_TRAIN} bytes. Returns
   * whether the kernel accepted it.
   */
  send(bytes: Uint8Array<ArrayBuffer>, start: number, end: number, to: SockaddrIn): boolean {
    this.#single.setData(bytes, start, end - start);
    this.#single.setName(to.bytes, to.location);
    return libc.sendmsg(this.#fd, this.#single.pointer, 0) === end - start;
  }

  /**
   * Adds a datagram, `bytes[start, end)`, at most {@linkcode LONGEST_TRAIN} bytes, to the train.
   * Sends the train first if the datagram does not fit.
   *
   * @returns the number of datagrams in a sent train that were refused
   */
  add(bytes: Uint8Array<ArrayBuffer>, start: number, end: number, to: SockaddrIn): number {
    const length = end - start;
    const fits = this.#count > 0 && to === this.#to && !this.#isClosed && length <= this.#segment &&
      length > 0 &&
      this.#count < MAX_SEGMENTS && this.#length + length <= LONGEST_TRAIN && this.#takesTrains;
    const refused = fits ? 0 : this.flush();
    if (!fits) {
      this.#segment = length;
      this.#to = to;
      this.#message.setName(to.bytes, to.location);
    }
    this.#isClosed = length < this.#segment;
    this.#train.set(bytes.subarray(start, end), this.#length);
    this.#length += length;
    this.#count++;
    return refused;
  }

  /**
   * Sends the train.
   *
   * @returns the number of its datagrams that were refused
   */
  flush(): number {
    const count = this.#count;
    if (count === 0) return 0;
    this.#message.setData(this.#train, 0, this.#length);
    if (count === 1) this.#message.clearControl();
    else this.#message.setControl(SOL_UDP, UDP_SEGMENT, this.#segment);
    const sent = libc.sendmsg(this.#fd, this.#message.pointer, 0);
    const length = this.#length;
    this.#length = 0;
    this.#count = 0;
    this.#isClosed = false;
    if (sent === length) return 0;
    const error = errno();
    if (count > 1 && (error === Errno.EINVAL || error === Errno.EIO || error === Errno.EOPNOTSUPP)) {
      this.#takesTrains = false;
    }
    return count;
  }
}
