/**
 * Opening a TUN interface.
 *
 * @module
 */
import type { Tun } from "./tun.ts";

/** A TUN interface that is detached when it is disposed of. */
export interface OpenTun extends Tun, Disposable {}

/**
 * Attaches to the TUN interface of this name, or makes one that goes when it is disposed of. It has no address and
 * is down until `ip` gives it one and takes it up.
 *
 * Needs Linux, CAP_NET_ADMIN and `--allow-ffi`; the C library is loaded by this call and not by importing it.
 *
 * @param name of the interface, at most 15 bytes
 * @throws {SysError} naming the call and the errno, e.g. `Cannot attach to TUN device "tun1": ioctl failed: EBUSY`
 */
export async function openTun(name: string): Promise<OpenTun> {
  const [{ compileCalls }, { attachTun }, { LinuxTun }] = await Promise.all([
    import("../sys/libc.ts"),
    import("../sys/tun.ts"),
    import("./linux_tun.ts"),
  ]);
  compileCalls();
  const fd = attachTun(name);
  const tun = new LinuxTun(fd.number);
  return {
    fd: fd.number,
    receive: (into) => tun.receive(into),
    send: (packet) => tun.send(packet),
    [Symbol.dispose]: () => fd[Symbol.dispose](),
  };
}
