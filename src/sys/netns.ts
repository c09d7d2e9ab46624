/**
 * The network namespace of this process.
 *
 * @module
 */
import { libcWith } from "./libc.ts";
import { AF_INET, openSocket, SOCK_DGRAM, SOL_SOCKET } from "./socket.ts";

const libc = libcWith("getsockopt");

/** `<asm-generic/socket.h>` */
const SO_NETNS_COOKIE = 71;

/**
 * The kernel's number for this namespace. Unlike an inode, it is never reused while the kernel
 * runs.
 *
 * @returns decimal digits; `undefined` before Linux 5.14
 * @throws {SysError}
 */
export function networkCookie(): string | undefined {
  using socket = openSocket("Cannot look at the network namespace", AF_INET, SOCK_DGRAM, 0);
  const cookie = new BigUint64Array(1);
  const size = new Uint32Array([cookie.byteLength]);
  const [value, length] = [new Uint8Array(cookie.buffer), new Uint8Array(size.buffer)];
  if (libc.getsockopt(socket.number, SOL_SOCKET, SO_NETNS_COOKIE, value, length) < 0) return undefined;
  return String(cookie[0]);
}
