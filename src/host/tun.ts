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
import type { Cidr } from "../ip/cidr.ts";
import { planAddress, planUp, refuseTakenBlock } from "./addresses.ts";
import type { Change } from "./change.ts";
import type { HostState } from "./state.ts";

/** A TUN interface that we are attached to. */
export interface AttachedTun extends Disposable {
  readonly fd: Fd;
  readonly name: string;
  /** Whether it was there before, and stays. */
  readonly existed: boolean;
}

/** How long to wait for a run that has just been killed to let go of its interface, in ms, and how often to look. */
const RELEASE = { most: 1000, step: 20 } as const;

/** Bytes of the longest packet of a TUN interface that nobody has told otherwise. */
export const USUAL_MTU = 1500;

/**
 * Attaches to the interface, which is made where it does not exist, and then goes when it is disposed of.
 *
 * @throws {OperatorError} naming the cause and the remedy
 */
export async function openHostTun(name: string): Promise<AttachedTun> {
  const existed = interfaceExists(name);
  const fd = await attach(name);
  return { fd, name, existed, [Symbol.dispose]: () => fd[Symbol.dispose]() };
}

/**
 * The changes that give the interface its address and take it up.
 *
 * @throws {OperatorError} where the address or a part of its block is another interface's
 */
export function planTun(name: string, address: Cidr, state: HostState): Change[] {
  refuseTakenBlock(name, address, state, "choose another with --address");
  const is = state.interfaces.find((each) => each.name === name);
  return [planAddress(name, address, is), planUp(name, is)].map((change) => ({
    ...change,
    goesWithTun: true,
  }));
}

/** Bytes of the longest packet that the interface takes, or will take once it is made: no longer than the onion carries. */
export function tunMtu(name: string, longest: number, { interfaces }: HostState): number {
  return interfaces.find((each) => each.name === name)?.mtu ?? Math.min(USUAL_MTU, longest);
}

/** The change that gives the interface its MTU, where it is made and the usual one is more than the onion carries. */
export function planTunMtu(name: string, longest: number, state: HostState): Change[] {
  const mtu = tunMtu(name, longest, state);
  const isThere = mtu === USUAL_MTU || state.interfaces.some((each) => each.name === name);
  return [{
    what: `MTU of ${mtu} on ${name}`,
    isThere,
    make: ["ip", "link", "set", name, "mtu", `${mtu}`],
    undo: ["ip", "link", "set", name, "mtu", `${USUAL_MTU}`],
    goesWithTun: true,
  }];
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
