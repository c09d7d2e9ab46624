/**
 * The plan for the TUN interface: its MTU, its address, and that it is up.
 *
 * @module
 */
import { OperatorError } from "../../errors.ts";
import type { Cidr } from "../../ip/cidr.ts";
import { command } from "./action.ts";
import { hasAddress, planAddress, planUp, refuseTakenBlock } from "./addresses.ts";
import type { Change } from "./change.ts";
import type { HostState } from "./state.ts";

/** Default MTU of a TUN interface, in bytes. */
const DEFAULT_MTU = 1500;

/**
 * Makes sure that a name is no alternative name (`ip link property`), because the kernel lists
 * addresses and routes under an interface's own name.
 *
 * @throws {OperatorError} if it is
 */
export function refuseOtherName(name: string, { interfaces }: HostState): void {
  const is = interfaces.find(({ otherNames = [] }) => otherNames.includes(name));
  if (is === undefined) return;
  throw new OperatorError(`${name} is another name of ${is.name}`, `name it as --tun ${is.name}`);
}

/**
 * The changes that give the interface its address and set it up.
 *
 * @throws {OperatorError} if another interface has the address or a part of its block
 */
export function planTun(name: string, address: Cidr, state: HostState): Change[] {
  refuseTakenBlock(name, address, state, "choose another with --address");
  const is = state.interfaces.find((each) => each.name === name);
  const own = planAddress(name, address, is);
  // The run keeps the address, but does not set the interface up if somebody took it down.
  const kept = { is: (host: HostState) => hasAddress(name, address, host), device: name };
  return [{ ...own, kept }, planUp(name, is)].map((change) => ({ ...change, goesWithTun: true }));
}

/**
 * MTU in bytes of the interface, which may not exist yet.
 *
 * @param longest bytes of the longest packet that the onion carries in one piece
 */
export function tunMtu(name: string, longest: number, { interfaces }: HostState): number {
  return interfaces.find((each) => each.name === name)?.mtu ?? Math.min(DEFAULT_MTU, longest);
}

/** The change that lowers the MTU of a new interface to what the onion carries in one piece. */
export function planTunMtu(name: string, longest: number, state: HostState): Change[] {
  const mtu = tunMtu(name, longest, state);
  const isThere = mtu === DEFAULT_MTU || state.interfaces.some((each) => each.name === name);
  return [{
    what: `MTU of ${mtu} on ${name}`,
    isThere,
    make: { kind: "set MTU", device: name, mtu },
    undo: command("ip", "link", "set", name, "mtu", `${DEFAULT_MTU}`),
    goesWithTun: true,
  }];
}
