/**
 * What this process may do without being asked for a password (capabilities(7)).
 *
 * @module
 */

/** The capabilities that onion needs, by their bits. */
const BIT = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n } as const;

/** The right to change interfaces, addresses, routes and rules; the right to raw sockets. */
export type Capability = keyof typeof BIT;

/** Whether this process has a capability now. */
export function hasCapability(capability: Capability): boolean {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? "0";
    return (BigInt(`0x${effective}`) >> BIT[capability] & 1n) === 1n;
  } catch {
    return Deno.uid() === 0;
  }
}
