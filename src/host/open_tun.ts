/**
 * Bringing the TUN interface up: attach or make, address, up. What is right already is left alone.
 *
 * @module
 */
import { ExitCode, OperatorError, SysError } from "../errors.ts";
import type { Fd } from "../sys/fd.ts";
import { interfaceExists } from "../sys/interface.ts";
import { sleep } from "../sys/timer.ts";
import { attachTun } from "../sys/tun.ts";

/** A TUN interface that we are attached to. */
export interface AttachedTun extends Disposable {
  readonly fd: Fd;
  readonly name: string;
  /** Whether it was there before, and stays. */
  readonly existed: boolean;
}

/**
 * How long to wait for a run that has just been killed to let go of its interface, in ms, and how
 * often to look.
 */
const RELEASE = { most: 1000, step: 20 } as const;

/**
 * Attaches to the interface, which is made where it does not exist, and then goes when it is
 * disposed of.
 *
 * @throws {OperatorError} naming the cause and the remedy
 */
export async function openHostTun(name: string): Promise<AttachedTun> {
  const existed = interfaceExists(name);
  const fd = await attach(name);
  return { fd, name, existed, [Symbol.dispose]: () => fd[Symbol.dispose]() };
}

/** Attaches, waiting a moment where the interface is still held by a run that is on its way out. */
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
