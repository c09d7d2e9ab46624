/**
 * The plan for the TUN interface: MTU, address, up. What is right already is left alone.
 *
 * @module
 */
import type { Cidr } from "../../ip/cidr.ts";
import { command } from "./action.ts";
import { planAddress, planUp, refuseTakenBlock } from "./addresses.ts";
import type { Change } from "./change.ts";
import type { HostState } from "./state.ts";

/** Bytes of the longest packet of a TUN interface that nobody has told otherwise. */
export const USUAL_MTU = 1500;

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

/**
 * Bytes of the longest packet that the interface takes, or will take once it is made: no longer
 * than the onion carries.
 */
export function tunMtu(name: string, longest: number, { interfaces }: HostState): number {
  return interfaces.find((each) => each.name === name)?.mtu ?? Math.min(USUAL_MTU, longest);
}

/**
 * The change that gives the interface its MTU, where it is made and the usual one is more than the
 * onion carries.
 */
export function planTunMtu(name: string, longest: number, state: HostState): Change[] {
  const mtu = tunMtu(name, longest, state);
  const isThere = mtu === USUAL_MTU || state.interfaces.some((each) => each.name === name);
  return [{
    what: `MTU of ${mtu} on ${name}`,
    isThere,
    make: { kind: "set MTU", device: name, mtu },
    undo: command("ip", "link", "set", name, "mtu", `${USUAL_MTU}`),
    goesWithTun: true,
  }];
}
