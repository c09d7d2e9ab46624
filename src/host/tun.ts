/**
 * Bringing the TUN interface up: attach or make, address, up. What is right already is left alone.
 *
 * @module
 */
import { ExitCode, OperatorError, SysError } from "../errors.ts";
import type { Fd } from "../sys/fd.ts";
import { interfaceExists } from "../sys/interface.ts";
import { attachTun } from "../sys/tun.ts";
import { formatCidr, parseIpv4 } from "../config/cidr.ts";
import { type Cidr, overlaps } from "../wire/cidr.ts";
import { formatIpv4 } from "../wire/ipv4.ts";
import { type Interface, interfaces, ip } from "./ip.ts";
import type { Journal } from "./journal.ts";

/** A TUN interface that is up and has its address. */
export interface HostTun extends Disposable {
  readonly fd: Fd;
  readonly name: string;
  /** Bytes of the longest packet that it takes. */
  readonly mtu: number;
  /** Whether it was there before, and stays. */
  readonly existed: boolean;
}

/** How long to wait for a run that has just been killed to let go of its interface, in ms, and how often to look. */
const RELEASE = { most: 1000, step: 20 } as const;

/**
 * Brings the interface up.
 *
 * @param name of the interface; made where it does not exist, and then gone when its descriptor closes
 * @throws {OperatorError} naming the cause and the remedy
 */
export async function bringUpTun(name: string, address: Cidr, journal: Journal): Promise<HostTun> {
  const before = await interfaces();
  refuseTakenAddress(before, name, address);
  const existed = interfaceExists(name);
  const fd = await attach(name);
  try {
    const is = before.find((candidate) => candidate.ifname === name);
    // An interface of our own takes its address and its routes with it when it goes; only one that stays needs
    // its changes written down.
    const change = (what: string, undo: string[], make: string[]) =>
      existed ? journal.change({ change: what, undo }, () => ip(...make)) : ip(...make);

    const cidr = formatCidr(address);
    if (!hasAddress(is, address)) {
      await change(
        `address ${cidr} on ${name}`,
        ["address", "delete", cidr, "dev", name],
        ["address", "add", cidr, "dev", name],
      );
    }
    if (!is?.flags.includes("UP")) {
      await change(`${name} up`, ["link", "set", name, "down"], ["link", "set", name, "up"]);
    }
    return { fd, name, mtu: is?.mtu ?? 1500, existed, [Symbol.dispose]: () => fd[Symbol.dispose]() };
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
}

/** Attaches, waiting a moment where the interface is still held by a run that is on its way out. */
async function attach(name: string): Promise<Fd> {
  for (let waited = 0;; waited += RELEASE.step) {
    try {
      return attachTun(name);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.code === "EBUSY" && waited < RELEASE.most) {
        await new Promise((resolve) => setTimeout(resolve, RELEASE.step));
      } else throw explain(error);
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

/** An address or a block that another interface has cannot lead into the tunnel too. */
function refuseTakenAddress(all: readonly Interface[], name: string, address: Cidr): void {
  for (const { ifname, addr_info } of all) {
    if (ifname === name) continue;
    for (const { family, local, prefixlen } of addr_info) {
      if (family !== "inet") continue;
      const taken: Cidr = { address: parseIpv4(local)!, prefix: prefixlen };
      // A wider block elsewhere does no harm: the narrower route wins.
      if (taken.address !== address.address && (taken.prefix < address.prefix || !overlaps(taken, address))) {
        continue;
      }
      throw new OperatorError(
        `${
          taken.address === address.address ? formatIpv4(address.address) : formatCidr(address)
        } is taken: ` +
          `${ifname} has ${formatCidr(taken)}`,
        "choose another with --address",
      );
    }
  }
}

function hasAddress(is: Interface | undefined, address: Cidr): boolean {
  return is?.addr_info.some(({ family, local, prefixlen }) =>
    family === "inet" && local === formatIpv4(address.address) && prefixlen === address.prefix
  ) ?? false;
}
