/**
 * Networks of several routers, each with its own world. A test can read what each party logs and
 * counts, and what crosses which link.
 *
 * ```
 *      VM           onion, one hop                                worlds, one behind each router
 *                ┌──────────────────────────┐
 *   10.0.2.15 ──TUN── proxy ═ routers 1 … N ──── 192.168.20N.1 ── 100.64.1.1 ── 100.64.2.1 ──┬─ 128.30.2.155
 *                └ 10.5.51.1    192.168.20N.2                                                └─ hosts that answer
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import type { CircuitLimits } from "../../src/circuit/origin/pool.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import { MemoryWorld, type MemoryWorldOptions } from "../../src/sim/world.ts";
import { MemoryNetwork, type MemoryNetworkOptions } from "../../src/sim/network.ts";
import type { CounterName, DropReason } from "../../src/trace/counters.ts";
import { drops } from "../../src/trace/counters.ts";
import { EventMemory } from "./events.ts";
import { address } from "./packets.ts";
import { assertAnswers, assertQuotes, hear, type Heard, packetsOf, type Ping, pingOf, tell } from "./ping.ts";
import type { IpAddress } from "../../src/ip/address.ts";

/** The default client. */
export const VM = "10.0.2.15";

/** The hop's address, which traceroute shows. */
export const HOP = "10.5.51.1";

/** Port of the proxy; router i has the i-th port after it. */
export const PROXY = 40_000;

/** Port of a router, by its number. */
export const portOf = (router: number) => PROXY + router;

/** The address that a router leaves by, by its number. */
export const exitOf = (router: number) => `192.168.20${router}.2`;

/**
 * Random numbers that make every path router 1, router 2, and so on.
 */
export const LOWEST = () => 0;

/** The parts of an {@linkcode Onion}. */
export interface OnionOptions {
  /** 4 unless given. */
  readonly routers?: number;
  /** Routers on a path. Without it, each router has a direct circuit. */
  readonly hops?: number;
  /** Seals the circuits. */
  readonly crypto?: CryptoProvider;
  readonly limits?: Partial<CircuitLimits>;
  readonly firstClient?: IpAddress;
  readonly world?: Partial<MemoryWorldOptions>;
  readonly network?: Partial<MemoryNetworkOptions>;
}

/** A datagram as it was sent on a link. */
export interface Crossing {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
}

/**
 * A counted drop: the party (0 for the proxy, or a router's number), the reason, and the count.
 */
type Drop = readonly [party: number, reason: DropReason, count: number];

/** A network that is up. */
export class Onion {
  readonly worlds: readonly MemoryWorld[];
  readonly network: MemoryNetwork;
  /** What each party has logged. */
  readonly logs: { readonly proxy: EventMemory; readonly routers: readonly EventMemory[] };
  /** What has crossed the links since {@linkcode Onion.watch}. */
  crossings: Crossing[] = [];
  readonly mtu: number;

  constructor(options: OnionOptions = {}) {
    const { routers = 4, hops, crypto, limits, firstClient, world, network } = options;
    const numbers = Array.from({ length: routers }, (_, index) => index + 1);
    this.worlds = numbers.map((number) =>
      new MemoryWorld({
        address: address(exitOf(number)),
        routers: [`192.168.20${number}.1`, "100.64.1.1", "100.64.2.1"].map((each) => ({
          address: address(each),
        })),
        ...world,
      })
    );
    this.logs = { proxy: new EventMemory(), routers: numbers.map(() => new EventMemory()) };
    this.network = new MemoryNetwork({
      address: { address: address("10.5.51.2"), prefix: 24 },
      worlds: this.worlds,
      events: this.logs,
      ...(hops !== undefined && {
        circuits: {
          hops,
          ...(crypto && { crypto }),
          ...(limits && { limits }),
          ...(firstClient !== undefined && { firstClient }),
        },
      }),
      ...network,
    });
    this.mtu = network?.mtu ?? 1500;
  }

  /** Records from now on what crosses the links. */
  watch(): void {
    this.network.medium.tamper = (from, to, bytes) => {
      this.crossings.push({ from, to, bytes });
      return [bytes];
    };
  }

  /** Returns what has crossed the watched links since the last call. */
  crossed(): Crossing[] {
    const { crossings } = this;
    this.crossings = [];
    return crossings;
  }

  /** Stops watching and tampering. */
  unwatch(): void {
    this.network.medium.tamper = (_from, _to, bytes) => [bytes];
  }

  /**
   * Intercepts the datagrams of one link during `act`, and returns them. Those of other links pass.
   */
  intercept(from: number, to: number, act: () => void): Uint8Array[] {
    const caught: Uint8Array[] = [];
    const { medium } = this.network;
    const before = medium.tamper;
    medium.tamper = (sender, receiver, bytes) => {
      if (sender !== from || receiver !== to) return before(sender, receiver, bytes);
      caught.push(bytes);
      return [];
    };
    act();
    medium.tamper = before;
    return caught;
  }

  /** Delivers a datagram as if `from` had sent it, and lets everything move. */
  arrive(from: number, to: number, bytes: Uint8Array): Heard[] {
    this.network.medium.deliver(from, to, bytes);
    return this.listen();
  }

  /**
   * Sends packets as the host, and returns what the host receives once all has moved.
   */
  exchange(packets: readonly Uint8Array[], elapsed = 0): Heard[] {
    for (const packet of packets) this.network.tun.inject(packet);
    return this.listen(elapsed);
  }

  /** Lets time pass, and returns what the host receives. */
  listen(elapsed = 0): Heard[] {
    this.network.run(elapsed);
    return hear(this.network.tun.take(), this.mtu);
  }

  /**
   * Lets time pass from deadline to deadline, as packet threads do, and returns what the host
   * receives.
   */
  pass(ms: number): Heard[] {
    const heard: Heard[] = [];
    const until = this.network.now + ms;
    while (this.network.deadline <= until) {
      heard.push(...this.listen(Math.max(0, this.network.deadline - this.network.now)));
    }
    return [...heard, ...this.listen(until - this.network.now)];
  }

  /** Lets time pass up to a moment. Packets for the host wait until it listens. */
  until(now: number): void {
    const { network } = this;
    while (network.deadline <= now) network.run(Math.max(0, network.deadline - network.now));
    network.run(now - network.now);
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

  /** Asserts that a ping gets one answer, from its destination. */
  assertWorks(ping: Partial<Ping> = {}): void {
    const sent = pingOf(ping);
    const heard = this.exchange(packetsOf(sent, this.mtu));
    assert.equal(heard.length, 1, "one answer");
    assertAnswers(heard[0]!, sent);
  }

  /** The packets that have left to each world since the last call. */
  left(): Uint8Array[][] {
    return this.worlds.map((world) => world.take());
  }

  /** The classic logs, those of the routers in order. */
  get lines(): { readonly proxy: string[]; readonly routers: string[][] } {
    return { proxy: this.logs.proxy.lines, routers: this.logs.routers.map(({ lines }) => lines) };
  }

  /** Numbers of the routers of every path that the proxy has chosen, in order. */
  get paths(): number[][] {
    const paths: number[][] = [];
    for (const event of this.logs.proxy.events) {
      if (event.kind !== "hop") continue;
      if (event.hop === 1) paths.push([]);
      paths.at(-1)!.push(event.router);
    }
    return paths;
  }

  /** Numbers of the routers of the latest path. */
  get path(): number[] {
    return this.paths.at(-1)!;
  }

  /** A counter of the proxy (0) or of a router (its number). */
  count(name: CounterName | DropReason, party = 0): number {
    const { proxy, routers } = this.network.counters;
    return (party === 0 ? proxy : routers[party - 1]!).get(name);
  }

  /** All drops, by party and reason. */
  dropped(): Drop[] {
    const { proxy, routers } = this.network.counters;
    return [proxy, ...routers].flatMap((counters, party) =>
      drops(counters.snapshot()).map(([reason, count]): Drop => [party, reason, count])
    );
  }

  /** The drops during `act`. */
  dropsIn(act: () => void): Drop[] {
    const before = new Map(this.dropped().map(([party, reason, count]) => [`${party} ${reason}`, count]));
    act();
    return this.dropped().flatMap(([party, reason, count]): Drop[] => {
      const more = count - (before.get(`${party} ${reason}`) ?? 0);
      return more === 0 ? [] : [[party, reason, more]];
    });
  }
}

/** Every legal pair for stages 5 and 6: the number of routers, and fewer hops. */
export const PAIRS: readonly (readonly [routers: number, hops: number])[] = [2, 3, 4, 5, 6].flatMap((
  routers,
) => Array.from({ length: routers - 1 }, (_, index) => [routers, index + 1] as const));

/** Whether some bytes occur in others. */
export function occurs(needle: Uint8Array, haystack: Uint8Array): boolean {
  const first = needle[0]!;
  for (let at = haystack.indexOf(first); at >= 0; at = haystack.indexOf(first, at + 1)) {
    let same = 1;
    while (same < needle.length && haystack[at + same] === needle[same]) same++;
    if (same === needle.length) return true;
  }
  return false;
}
