/**
 * The TUN driver (Documentation/networking/tuntap.rst in the kernel's source).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { Fd } from "./fd.ts";
import { check, cString, errno, libcWith } from "./libc.ts";
import { LastPointer } from "./pointer.ts";

const libc = libcWith("open", "ioctl", "read", "write");

/** `<fcntl.h>` */
const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** `<linux/if_tun.h>`: `#define TUNSETIFF _IOW('T', 202, int)`. */
const TUNSETIFF = 0x4004_54ca;
/** IP packets, no Ethernet. */
const IFF_TUN = 0x0001;
/** No four bytes of packet information in front of each packet. */
const IFF_NO_PI = 0x1000;

/** Bytes of a `struct ifreq` on a 64-bit machine: a name of 16, and a union of 24. */
const IFREQ = 40;
/** Bytes of an interface name, its final zero included. */
export const IFNAMSIZ = 16;

/** Where the driver is. */
export const TUN_DEVICE = "/dev/net/tun";

/**
 * Attaches to the TUN interface of this name, which the kernel makes if there is none. One made like this goes
 * when the descriptor is closed, be it by the death of the process.
 *
 * @param name at most 15 bytes
 * @throws {SysError} `open`: ENOENT, EACCES, ENODEV …; `ioctl`: EPERM, EBUSY (somebody else is attached), EINVAL (not a TUN)
 */
export function attachTun(name: string): Fd {
  const fd = new Fd(
    check(
      libc.open(cString(TUN_DEVICE), O_RDWR | O_NONBLOCK | O_CLOEXEC),
      `Cannot open ${TUN_DEVICE}`,
      "open",
    ),
  );
  const request = new Uint8Array(IFREQ);
  request.set(cString(name).subarray(0, IFNAMSIZ));
  new DataView(request.buffer).setInt16(IFNAMSIZ, IFF_TUN | IFF_NO_PI, true);
  try {
    check(libc.ioctl(fd.number, TUNSETIFF, request), `Cannot attach to TUN device "${name}"`, "ioctl");
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
  return fd;
}

const readTo = new LastPointer();
const writtenFrom = new LastPointer();

/** {@linkcode readPacket} when nothing waits. */
export const NO_PACKET = -1;

/**
 * Reads one packet.
 *
 * @param room bytes that it may fill
 * @returns its length, or {@linkcode NO_PACKET}
 * @throws {SysError} EBADFD when the interface is gone
 */
export function readPacket(fd: number, into: Uint8Array<ArrayBuffer>, room: number): number {
  const length = libc.read(fd, readTo.to(into), room);
  if (length >= 0) return length;
  const error = errno();
  if (error === Errno.EAGAIN || error === Errno.EINTR) return NO_PACKET;
  return check(length, "Cannot read from the TUN device", "read");
}

/** Writes one packet, the first `length` bytes of `from`: whether the kernel took it. */
export function writePacket(fd: number, from: Uint8Array<ArrayBuffer>, length: number): boolean {
  return libc.write(fd, writtenFrom.to(from), length) === length;
}
