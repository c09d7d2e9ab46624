/**
 * The TUN driver (Documentation/networking/tuntap.rst in the kernel's source).
 *
 * @module
 */
import { Fd } from "./fd.ts";
import { SysError } from "../errors.ts";
import { check, cString, libcWith } from "./libc.ts";
import { LastPointer } from "./pointer.ts";

const libc = libcWith("open", "ioctl", "write");

/** `<fcntl.h>` */
const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** `<linux/if_tun.h>`: `#define TUNSETIFF _IOW('T', 202, int)`. */
const TUNSETIFF = 0x4004_54ca;
/** IP packets without Ethernet headers. */
const IFF_TUN = 0x0001;
/** Without four bytes of packet information before each packet. */
const IFF_NO_PI = 0x1000;
/** An interface that several programs may be attached to, each for a part of the packets. */
const IFF_MULTI_QUEUE = 0x0100;

/** Bytes of a 64-bit `struct ifreq`: a name of 16 and a union of 24. */
const IFREQ = 40;
/** Bytes of an interface name, including its terminating zero. */
export const IFNAMSIZ = 16;

/** The path of the driver. */
export const TUN_DEVICE = "/dev/net/tun";

/**
 * Attaches to the TUN interface of this name, which the kernel creates if it does not exist. Such
 * an interface disappears when the descriptor is closed, also by the death of the process.
 *
 * @param name at most 15 bytes
 * @throws {SysError} `open`: ENOENT, EACCES, ENODEV …; `ioctl`: EPERM, EBUSY (another process is
 * attached), EINVAL (not a TUN)
 */
export function attachTun(name: string): Fd {
  const flags = O_RDWR | O_NONBLOCK | O_CLOEXEC;
  const fd = new Fd(check(libc.open(cString(TUN_DEVICE), flags), `Cannot open ${TUN_DEVICE}`, "open"));
  return fd.prepared((number) => {
    const doing = `Cannot attach to TUN device "${name}"`;
    const isShared = isMultiQueue(name);
    // The kernel would attach us beside another program, and give us some of the packets.
    if (isShared && hasCarrier(name)) throw new SysError(doing, "ioctl", "EBUSY");
    const request = new Uint8Array(IFREQ);
    request.set(cString(name).subarray(0, IFNAMSIZ));
    const mode = IFF_TUN | IFF_NO_PI | (isShared ? IFF_MULTI_QUEUE : 0);
    new DataView(request.buffer).setInt16(IFNAMSIZ, mode, true);
    check(libc.ioctl(number, TUNSETIFF, request), doing, "ioctl");
  });
}

/** Whether an existing TUN interface was created with IFF_MULTI_QUEUE. */
function isMultiQueue(name: string): boolean {
  return (Number(attributeOf(name, "tun_flags")) & IFF_MULTI_QUEUE) !== 0;
}

/** Whether a program is attached to an interface that is up. */
function hasCarrier(name: string): boolean {
  return attributeOf(name, "carrier") === "1";
}

/** An attribute of an interface (sysfs); empty if it cannot be read. */
function attributeOf(name: string, attribute: string): string {
  try {
    return Deno.readTextFileSync(`/sys/class/net/${name}/${attribute}`).trim();
  } catch {
    return "";
  }
}

const writtenFrom = new LastPointer();

/**
 * Writes one packet, the first `length` bytes of `from`. Returns whether the kernel accepted it.
 */
export function writePacket(fd: number, from: Uint8Array<ArrayBuffer>, length: number): boolean {
  return libc.write(fd, writtenFrom.to(from), length) === length;
}
