/**
 * UDP sockets over IPv4 that never block.
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { Fd } from "./fd.ts";
import { check, errno, libc } from "./libc.ts";

/** `<sys/socket.h>`, asm-generic: the same on x86-64 and arm64. */
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

/** Bytes of a `struct sockaddr_in`: family (host order), port and address (network order), eight of padding. */
export const SOCKADDR_IN = 16;

/** The address of a socket: an unsigned 32-bit IPv4 address and a port. */
export interface SocketAddress {
  readonly address: number;
  readonly port: number;
}

/** A `struct sockaddr_in` in memory. */
export class SockaddrIn {
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(SOCKADDR_IN);
  readonly #view = new DataView(this.bytes.buffer);

  constructor({ address, port }: SocketAddress) {
    this.#view.setUint16(0, AF_INET, true);
    this.#view.setUint16(2, port);
    this.#view.setUint32(4, address);
  }

  get port(): number {
    return this.#view.getUint16(2);
  }

  get address(): number {
    return this.#view.getUint32(4);
  }

  set address(address: number) {
    this.#view.setUint32(4, address);
  }
}

/** Lets the kernel queue up to `size` bytes for a socket in each direction, as far as it allows. */
export function enlargeBuffers(fd: number, size: number): void {
  const value = new Uint8Array(new Int32Array([size]).buffer);
  // The …FORCE options may go beyond the system's limit, but want CAP_NET_ADMIN.
  for (const [force, plain] of [[SO_RCVBUFFORCE, SO_RCVBUF], [SO_SNDBUFFORCE, SO_SNDBUF]] as const) {
    if (libc.setsockopt(fd, SOL_SOCKET, force, value, value.length) < 0) {
      libc.setsockopt(fd, SOL_SOCKET, plain, value, value.length);
    }
  }
}

/** {@linkcode UdpSocket.receive} when nothing waits. */
export const NO_DATAGRAM = -1;

/** A bound UDP socket. */
export class UdpSocket implements Disposable {
  readonly fd: Fd;
  /** Who sent the datagram that was received last. */
  readonly sender: SockaddrIn = new SockaddrIn({ address: 0, port: 0 });
  readonly #senderLength = new Uint32Array([SOCKADDR_IN]);

  /** @param fd an open UDP socket; the new object owns it */
  constructor(fd: Fd) {
    this.fd = fd;
  }

  /**
   * A new socket, bound to `address` and a port that the kernel chooses.
   *
   * @param bufferSize bytes that the kernel may queue in each direction, as far as it allows
   * @throws {SysError}
   */
  static bind(address: number, bufferSize: number): UdpSocket {
    const doing = "Cannot open the data link";
    const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const socket = new UdpSocket(new Fd(check(libc.socket(AF_INET, type, 0), doing, "socket")));
    const local = new SockaddrIn({ address, port: 0 });
    check(libc.bind(socket.fd.number, local.bytes, SOCKADDR_IN), doing, "bind");
    enlargeBuffers(socket.fd.number, bufferSize);
    return socket;
  }

  /** The port that it is bound to. */
  get localPort(): number {
    const local = new SockaddrIn({ address: 0, port: 0 });
    const length = new Uint8Array(new Uint32Array([SOCKADDR_IN]).buffer);
    check(libc.getsockname(this.fd.number, local.bytes, length), "Cannot open the data link", "getsockname");
    return local.port;
  }

  /**
   * Receives the next datagram into `into`; {@linkcode UdpSocket.sender} then says who sent it.
   *
   * @param room bytes that it may fill
   * @returns its length, or {@linkcode NO_DATAGRAM}
   * @throws {SysError}
   */
  receive(into: Uint8Array<ArrayBuffer>, room: number): number {
    const length = libc.recvfrom(this.fd.number, into, room, 0, this.sender.bytes, this.#senderLength);
    if (length >= 0) return length;
    const error = errno();
    // ECONNREFUSED tells of an earlier datagram that nobody took: no reason to stop.
    if (error === Errno.EAGAIN || error === Errno.EINTR || error === Errno.ECONNREFUSED) return NO_DATAGRAM;
    return check(length, "Cannot receive from the data link", "recvfrom");
  }

  /** Sends the first `length` bytes of `from`: whether the kernel took them. */
  send(from: Uint8Array<ArrayBuffer>, length: number, to: SockaddrIn): boolean {
    return libc.sendto(this.fd.number, from, length, 0, to.bytes, SOCKADDR_IN) === length;
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }
}
