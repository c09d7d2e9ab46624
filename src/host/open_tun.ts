/**
 * Opens the TUN interface: attaches to it, or creates it.
 *
 * @module
 */
import { ExitCode, OperatorError, SysError } from "../errors.ts";
import type { Fd } from "../sys/fd.ts";
import { interfaceExists } from "../sys/interface.ts";
import { sleep } from "../sys/timer.ts";
import { attachTun } from "../sys/tun.ts";

/** A TUN interface that this process is attached to. */
interface AttachedTun extends Disposable {
  readonly fd: Fd;
  readonly name: string;
  /** Whether it existed before. Such an interface stays when this process detaches. */
  readonly existed: boolean;
}

/**
 * How long to wait for a run that was just killed to release its interface, and how often to try,
 * in ms.
 */
const RELEASE = { most: 1000, step: 20 } as const;

/**
 * Attaches to the interface. It is created if it does not exist; the kernel then removes it when it
 * is disposed of.
 *
 * @throws {OperatorError} with the cause and the remedy
 */
export async function openHostTun(name: string): Promise<AttachedTun> {
  const existed = interfaceExists(name);
  const fd = await attach(name);
  return { fd, name, existed, [Symbol.dispose]: () => fd[Symbol.dispose]() };
}

/** Attaches. Waits a moment if a run that is about to end still holds the interface. */
async function attach(name: string): Promise<Fd> {
  for (let waited = 0;; waited += RELEASE.step) {
    try {
      return attachTun(name);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.code !== "EBUSY" || waited >= RELEASE.most) throw explain(error);
      await sleep(RELEASE.step);
    }
  }
}

function explain(error: SysError): OperatorError {
  const [remedy, exitCode] = ({
    EBUSY: ["another program uses it: end that one, or choose another name with --tun", ExitCode.failed],
    EINVAL: ["an interface of another kind has this name: choose another with --tun", ExitCode.failed],
    EPERM: ["run it as root: sudo onion …", ExitCode.notPermitted],
    EACCES: ["run it as root: sudo onion …", ExitCode.notPermitted],
    ENODEV: ["load the driver: modprobe tun", ExitCode.hostLacks],
    ENOENT: ["load the driver: modprobe tun", ExitCode.hostLacks],
    ENXIO: ["load the driver: modprobe tun", ExitCode.hostLacks],
  } as const)[error.code] ?? ["see `ip link` and `dmesg`", ExitCode.failed];
  const message = error.message.charAt(0).toLowerCase() + error.message.slice(1);
  return new OperatorError(message, remedy, exitCode, { cause: error });
}
