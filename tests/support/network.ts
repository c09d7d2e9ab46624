/**
 * A host on a network in memory, for tests that play the kernel behind the TUN interface.
 *
 * @module
 */
import assert from "node:assert/strict";
import { MemoryNetwork, type MemoryNetworkOptions } from "../../src/sim/network.ts";
import { drops, type Snapshot } from "../../src/trace/counters.ts";
import { address, concat, type PlainPacket, plainSum, readIpv4 } from "./packets.ts";

/** The tunnel of stage 2. */
export const BLOCK = { address: address("10.5.51.2"), prefix: 24 } as const;

/** A network in memory with the tunnel of stage 2. */
export function makeNetwork(options: Partial<MemoryNetworkOptions> = {}): MemoryNetwork {
  return new MemoryNetwork({ address: BLOCK, ...options });
}

/** Sends packets as the host, and returns what the host receives once all has moved. */
export function exchange(network: MemoryNetwork, ...packets: readonly Uint8Array[]): Uint8Array[] {
  for (const packet of packets) network.tun.inject(packet);
  network.run();
  return network.tun.take();
}

/** The counters of a proxy and its routers. */
type Members = Pick<MemoryNetwork["counters"], "proxy" | "routers">;

/** The drops of all parties, added up by reason. */
export function dropped({ counters }: { readonly counters: Members }): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const party of [counters.proxy, ...counters.routers]) {
    for (const [reason, count] of drops(party.snapshot())) sum[reason] = (sum[reason] ?? 0) + count;
  }
  return sum;
}

/** The number of packets or cells that a party dropped. */
export function droppedBy(snapshot: Snapshot): number {
  return drops(snapshot).reduce((sum, [, count]) => sum + count, 0);
}

/** A reassembled datagram, and how often it was complete. */
interface Received extends PlainPacket {
  readonly copies: number;
}

/**
 * Reassembles fragments as a host would, in any order and with duplicates. Omits incomplete
 * datagrams and those with a wrong ICMP checksum.
 */
export function hostReceives(packets: readonly Uint8Array[]): Received[] {
  const datagrams = new Map<string, PlainPacket[]>();
  for (const packet of packets.map(readIpv4)) {
    const key = [packet.source, packet.destination, packet.id, packet.protocol].join();
    datagrams.set(key, [...datagrams.get(key) ?? [], packet]);
  }
  return [...datagrams.values()].flatMap((pieces) => {
    const places = new Map<number, PlainPacket[]>();
    for (const piece of pieces) places.set(piece.offset, [...places.get(piece.offset) ?? [], piece]);
    const ways = [...places].sort(([a], [b]) => a - b).map(([, copies]) => copies);
    let at = 0;
    for (const [first] of ways) {
      if (first!.offset !== at) return [];
      at += first!.payload.length;
    }
    if (ways.at(-1)![0]!.moreFragments) return [];
    const payload = concat(...ways.map(([first]) => first!.payload));
    if (plainSum(payload) !== 0xffff) return [];
    return [{
      ...ways[0]![0]!,
      payload,
      moreFragments: false,
      copies: Math.min(...ways.map((way) => way.length)),
    }];
  });
}

/** Asserts that a network dropped exactly this. */
export function assertDropped(network: MemoryNetwork, want: Record<string, number>, what?: string): void {
  assert.deepEqual(dropped(network), want, what);
}
