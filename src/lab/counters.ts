/**
 * Packets on each link of the lab, as the kernel counts them.
 *
 * @module
 */
import { run } from "./command.ts";
import { namespaceOf } from "./plan.ts";
import type { LinkCount } from "./story.ts";
import type { Topology } from "./topology.ts";

/** An interface, as `ip -json -s link` prints it. */
interface Counted {
  readonly ifname: string;
  readonly stats64: { readonly rx: { readonly packets: number }; readonly tx: { readonly packets: number } };
}

/** The packets of each link so far, counted at its first end, in the order of the topology. */
export async function countPackets({ links }: Topology): Promise<LinkCount[]> {
  const parties = new Set(links.map(({ ends: [one] }) => one.party));
  const counted = new Map(
    await Promise.all([...parties].map(async (party) => [party, await countOf(party)] as const)),
  );
  return links.map(({ ends: [one, other] }) => {
    const stats = counted.get(one.party)?.find(({ ifname }) => ifname === one.interface)?.stats64;
    return {
      from: one.party,
      interface: one.interface,
      to: other.party,
      out: stats?.tx.packets ?? 0,
      in: stats?.rx.packets ?? 0,
    };
  });
}

/** The differences between two counts. */
export function packetsBetween(before: readonly LinkCount[], after: readonly LinkCount[]): LinkCount[] {
  return after.map((link, index) => {
    const { out, in: back } = before[index]!;
    return { ...link, out: link.out - out, in: link.in - back };
  });
}

async function countOf(party: string): Promise<Counted[]> {
  const command = ["ip", "-n", namespaceOf(party), "-json", "-s", "link", "show"] as const;
  return JSON.parse(await run(`cannot count the packets of ${party}`, command));
}
