/**
 * The network namespace that this process is in.
 *
 * @module
 */
import { Fd } from "./fd.ts";
import { check, libcWith } from "./libc.ts";

const libc = libcWith("socket", "getsockopt");

/** `<sys/socket.h>` and `<asm-generic/socket.h>` */
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;

/**
 * The number that the kernel gives to this namespace and, until it restarts, to no other. An inode is soon used again.
 *
 * @returns in decimal digits; undefined before Linux 5.14, which has no such numbers
 * @throws {SysError}
 */
export function networkCookie(): string | undefined {
  const type = SOCK_DGRAM | SOCK_CLOEXEC;
  using socket = new Fd(
    check(libc.socket(AF_INET, type, 0), "Cannot look at the network namespace", "socket"),
  );
  const cookie = new BigUint64Array(1);
  const size = new Uint32Array([cookie.byteLength]);
  const [value, length] = [new Uint8Array(cookie.buffer), new Uint8Array(size.buffer)];
  if (libc.getsockopt(socket.number, SOL_SOCKET, SO_NETNS_COOKIE, value, length) < 0) return undefined;
  return String(cookie[0]);
}
