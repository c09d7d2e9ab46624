/**
 * Changes that give an interface an address and set it up, and checks for addresses that are taken.
 *
 * @module
 */
import { OperatorError } from "../../errors.ts";
import { formatIp, type IpAddress, isLoopback } from "../../ip/address.ts";
import { type Cidr, contains, formatCidr, overlaps } from "../../ip/cidr.ts";
import { command } from "./action.ts";
import type { Change } from "./change.ts";
import { type HostState, type Interface, type Route, Table } from "./state.ts";

/** The change that gives an interface an address. */
export function planAddress(name: string, block: Cidr, is: Interface | undefined): Change {
  const cidr = formatCidr(block);
  return {
    what: `address ${cidr} on ${name}`,
    isThere: is?.addresses.some((own) => isSame(own, block)) ?? false,
    make: { kind: "add address", device: name, block },
    undo: command("ip", "address", "delete", cidr, "dev", name),
  };
}

/** Whether an interface has an address. */
export function hasAddress(name: string, block: Cidr, { interfaces }: HostState): boolean {
  return interfaces.some((is) => is.name === name && is.addresses.some((own) => isSame(own, block)));
}

/** The change that sets an interface up. */
export function planUp(name: string, is: Interface | undefined): Change {
  return {
    what: `${name} up`,
    isThere: is?.isUp ?? false,
    make: { kind: "set up", device: name },
    undo: command("ip", "link", "set", name, "down"),
  };
}

/** The source address of an interface: the one in its gateway's block, else its first. */
export function sourceOf(is: Interface, gateway: IpAddress | undefined): Cidr | undefined {
  return is.addresses.find((own) => gateway !== undefined && contains(own, gateway)) ?? is.addresses[0];
}

/**
 * The source address of packets that leave by a route, as the kernel chooses it: the route's own,
 * else the interface's, else, for an interface without addresses, the host's first.
 */
export function sourceBy(
  { source, gateway }: Route,
  is: Interface,
  { interfaces }: HostState,
): IpAddress | undefined {
  const all = interfaces.flatMap(({ addresses }) => addresses);
  return source ?? (sourceOf(is, gateway) ?? all.find(({ address }) => !isLoopback(address)))?.address;
}

/**
 * Makes sure that an interface can have an address, and that packets to its block would then go
 * there.
 *
 * @throws {OperatorError} if another interface has the address, or a part of the block
 */
export function refuseTakenBlock(
  name: string,
  block: Cidr,
  { interfaces, routes }: HostState,
  remedy: string,
): void {
  const refuse = (what: string, why: string) => new OperatorError(`${what} is taken: ${why}`, remedy);
  for (const { name: other, addresses } of interfaces) {
    if (other === name) continue;
    for (const taken of addresses) {
      const isSameAddress = taken.address === block.address;
      // A wider block elsewhere does no harm, because the narrower route wins.
      if (!isSameAddress && (taken.prefix < block.prefix || !overlaps(taken, block))) continue;
      const what = isSameAddress ? formatIp(block.address) : formatCidr(block);
      throw refuse(what, `${other} has ${formatCidr(taken)}`);
    }
  }
  const route = routes.find((route) => route.device !== name && isNearer(route, block));
  if (route !== undefined) {
    throw refuse(formatCidr(block), `a route leads ${formatCidr(route.to)} to ${route.device ?? "nowhere"}`);
  }
}

/** Whether the kernel would prefer a route to the one that comes with an interface's block. */
function isNearer({ to, table, metric }: Route, block: Cidr): boolean {
  return table === Table.main && overlaps(to, block) &&
    (to.prefix > block.prefix || (to.prefix === block.prefix && metric === 0));
}

/** Whether two blocks have the same address and prefix. */
export function isSame(one: Cidr, other: Cidr): boolean {
  return one.address === other.address && one.prefix === other.prefix;
}
