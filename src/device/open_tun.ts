/**
 * Opens a TUN interface.
 *
 * @module
 */
import type { Tun } from "./tun.ts";

/** A TUN interface that stays attached until it is disposed of. */
export interface OpenTun extends Tun, Disposable {}

/**
 * Attaches to the TUN interface of this name, or creates one that exists until it is disposed of. A
 * new interface has no address and is down; use `ip` to change that.
 *
 * Needs Linux, CAP_NET_ADMIN and `--allow-ffi`; this call loads the C library, the import does not.
 *
 * @param name the name of the interface, at most 15 bytes
 * @throws {SysError} naming the call and the errno, e.g. `Cannot attach to TUN device "tun1": ioctl
 * failed: EBUSY`
 */
export async function openTun(name: string): Promise<OpenTun> {
  const [{ compileCalls }, { attachTun }, { LinuxTun }] = await Promise.all([
    import("../sys/libc.ts"),
    import("../sys/tun.ts"),
    import("./linux_tun.ts"),
  ]);
  compileCalls();
  const fd = attachTun(name);
  return Object.assign(new LinuxTun(fd.number), { [Symbol.dispose]: () => fd[Symbol.dispose]() });
}
