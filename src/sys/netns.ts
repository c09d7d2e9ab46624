/**
 * The network namespace of this process.
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
 * The kernel's number for this namespace. Unlike an inode, it is never reused while the kernel
 * runs.
 *
 * @returns decimal digits; `undefined` before Linux 5.14
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
