/**
 * Stage 3 as a whole, in memory: a test plays the VM at one end and looks at the world at the
 * other.
 *
 * ```
 *      VM           onion, one hop                                world
 *                ┌─────────────────┐
 *   10.0.2.15 ──TUN── proxy ═ router ──── 192.168.201.1 ── 100.64.1.1 ── 100.64.2.1 ──┬─ 128.30.2.155
 *                └ 10.5.51.1  192.168.201.2                                           ├─ 18.9.22.69
 *                                                                                     ├─ 18.9.22.70, dead
 *   id 7 ──────────────────► id 51234 ──────────────────────────────────────────►     └─ 18.9.22.71, nobody
 *   id 7 ◄────────────────── id 51234 ◄──────────────────────────────────────────
 * ```
 *
 * @module
 */
import { MemoryWorld, type MemoryWorldOptions, type WorldHost } from "../../src/sim/world.ts";
import { MemoryNetwork, type MemoryNetworkOptions } from "../../src/sim/network.ts";
import { type CounterName, type DropReason, drops, type Snapshot } from "../../src/trace/counters.ts";
import { EventMemory } from "./events.ts";
import { address, readIpv4 } from "./packets.ts";
import { assertAnswers, assertQuotes, hear, type Heard, packetsOf, type Ping, pingOf, tell } from "./ping.ts";

/** Who is who, as drawn above. */
export const VM = "10.0.2.15";
export const HOP = "10.5.51.1";
export const EXIT = "192.168.201.2";
export const CSAIL = "128.30.2.155";
export const MIT = "18.9.22.69";
export const DEAD = "18.9.22.70";
export const NOBODY = "18.9.22.71";

/** The world, as drawn above. */
export const WORLD: MemoryWorldOptions = {
  address: address(EXIT),
  routers: ["192.168.201.1", "100.64.1.1", "100.64.2.1"].map((router) => ({ address: address(router) })),
  host: (host): WorldHost =>
    host === address(DEAD) ? "silent" : host === address(NOBODY) ? "unreachable" : "answers",
};

/** What is different from the drawing. */
interface Options {
  readonly world?: Partial<MemoryWorldOptions>;
  readonly network?: Partial<MemoryNetworkOptions>;
}

/** A stage 3 network that has just come up. */
export class Stage3 {
  readonly world: MemoryWorld;
  readonly network: MemoryNetwork;
  readonly mtu: number;
  readonly #logs = { proxy: new EventMemory(), router: new EventMemory() };

  constructor({ world, network }: Options = {}) {
    this.world = new MemoryWorld({ ...WORLD, ...world });
    this.network = new MemoryNetwork({
      address: { address: address("10.5.51.2"), prefix: 24 },
      worlds: [this.world],
      events: { proxy: this.#logs.proxy, routers: [this.#logs.router] },
      ...network,
    });
    this.mtu = network?.mtu ?? 1500;
  }

  /** The classic logs. */
  get lines(): { readonly proxy: string[]; readonly router: string[] } {
    return { proxy: this.#logs.proxy.lines, router: this.#logs.router.lines };
  }

  /** The VM sends packets; what comes back to it once everything has come to rest. */
  exchange(packets: readonly Uint8Array[], elapsed = 0): Heard[] {
    for (const packet of packets) this.network.tun.inject(packet);
    return this.listen(elapsed);
  }

  /** The world sends packets on its own; what of it reaches the VM. */
  fromWorld(...packets: readonly Uint8Array[]): Heard[] {
    for (const packet of packets) this.world.inject(packet);
    return this.listen();
  }

  listen(elapsed = 0): Heard[] {
    this.network.run(elapsed);
    return hear(this.network.tun.take(), this.mtu);
  }

  /**
   * Sends one request, and tells what came back as `ping` would, after proving that it would know
   * it for its own.
   */
  ping(ping: Partial<Ping> = {}): string[] {
    const sent = pingOf(ping);
    return this.exchange(packetsOf(sent, this.mtu)).map((heard) => {
      if (heard.type === 0) assertAnswers(heard, sent);
      else assertQuotes(heard, sent);
      return tell(heard);
    });
  }

  /** The identifier that the world saw last. */
  get externalIdentifier(): number {
    const { payload } = readIpv4(this.world.take().at(-1)!);
    return payload[4]! << 8 | payload[5]!;
  }

  count(name: CounterName | DropReason, party: "proxy" | "router" = "router"): number {
    return this.network.counters[party].get(name);
  }

  dropped(): Snapshot {
    const { proxy, router } = this.network.counters;
    return Object.fromEntries([...drops(proxy.snapshot()), ...drops(router.snapshot())]);
  }
}

/** How many packets were dropped, for whatever reason. */
export function total(snapshot: Snapshot): number {
  return drops(snapshot).reduce((sum, [, count]) => sum + count, 0);
}
