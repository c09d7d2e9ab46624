/**
 * Stage 3 as a whole, in memory. A test plays the VM at one end and the world at the other.
 *
 * ```
 *      VM           onion, one hop                                world
 *                ┌─────────────────┐
 *   10.0.2.15 ──TUN── proxy ═ router ──── 192.168.201.1 ── 100.64.1.1 ── 100.64.2.1 ──┬─ 128.30.2.155
 *                └ 10.5.51.1  192.168.201.2                                           ├─ 18.9.22.69
 *                                                                                     ├─ 18.9.22.70, silent
 *   id 7 ──────────────────► id 51234 ──────────────────────────────────────────►     └─ 18.9.22.71, unreachable
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

/** The addresses of the drawing. */
export const VM = "10.0.2.15";
export const HOP = "10.5.51.1";
export const EXIT = "192.168.201.2";
export const CSAIL = "128.30.2.155";
export const MIT = "18.9.22.69";
export const DEAD = "18.9.22.70";
export const NOBODY = "18.9.22.71";

/** The world of the drawing. */
export const WORLD: MemoryWorldOptions = {
  address: address(EXIT),
  routers: ["192.168.201.1", "100.64.1.1", "100.64.2.1"].map((router) => ({ address: address(router) })),
  host: (host): WorldHost =>
    host === address(DEAD) ? "silent" : host === address(NOBODY) ? "unreachable" : "answers",
};

/** Changes to the drawing. */
interface Options {
  readonly world?: Partial<MemoryWorldOptions>;
  readonly network?: Partial<MemoryNetworkOptions>;
}

/** A stage 3 network that is up. */
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

  /** Sends packets as the VM, and returns what the VM receives once all has moved. */
  exchange(packets: readonly Uint8Array[], elapsed = 0): Heard[] {
    for (const packet of packets) this.network.tun.inject(packet);
    return this.listen(elapsed);
  }

  /** Sends packets from the world, and returns what reaches the VM. */
  fromWorld(...packets: readonly Uint8Array[]): Heard[] {
    for (const packet of packets) this.world.inject(packet);
    return this.listen();
  }

  listen(elapsed = 0): Heard[] {
    this.network.run(elapsed);
    return hear(this.network.tun.take(), this.mtu);
  }

  /**
   * Sends one request, and returns the replies as `ping` prints them, after checking that it would
   * recognise them.
   */
  ping(ping: Partial<Ping> = {}): string[] {
    const sent = pingOf(ping);
    return this.exchange(packetsOf(sent, this.mtu)).map((heard) => {
      if (heard.type === 0) assertAnswers(heard, sent);
      else assertQuotes(heard, sent);
      return tell(heard);
    });
  }

  /** The last echo identifier that the world saw. */
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

/** The number of packets dropped. */
export function total(snapshot: Snapshot): number {
  return drops(snapshot).reduce((sum, [, count]) => sum + count, 0);
}
