/**
 * The privileges of this process (capabilities(7)).
 *
 * @module
 */

/** The capabilities that onion may need, by bit. */
const BIT = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n } as const;

/** CAP_NET_ADMIN to change interfaces, addresses, routes and rules; CAP_NET_RAW for raw sockets. */
export type Capability = keyof typeof BIT;

/** Whether this process has a capability in its effective set. */
export function hasCapability(capability: Capability): boolean {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? "0";
    return (BigInt(`0x${effective}`) >> BIT[capability] & 1n) === 1n;
  } catch {
    return Deno.uid() === 0;
  }
}
