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
import type { MemoryNetworkOptions } from "../../src/sim/network.ts";
import type { MemoryWorld, MemoryWorldOptions, WorldHost } from "../../src/sim/world.ts";
import { Onion } from "./circuits.ts";
import { address, readIpv4 } from "./packets.ts";
import type { Heard } from "./ping.ts";

export { HOP, VM } from "./circuits.ts";

/** The addresses of the drawing. */
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
export class Stage3 extends Onion {
  constructor({ world, network }: Options = {}) {
    super({ routers: 1, world: { ...WORLD, ...world }, ...(network && { network }) });
  }

  /** The world behind the router. */
  get world(): MemoryWorld {
    return this.worlds[0]!;
  }

  /** The world sends packets on its own; what of it reaches the VM. */
  fromWorld(...packets: readonly Uint8Array[]): Heard[] {
    for (const packet of packets) this.world.inject(packet);
    return this.listen();
  }

  /** The identifier that the world saw last. */
  get externalIdentifier(): number {
    const { payload } = readIpv4(this.world.take().at(-1)!);
    return payload[4]! << 8 | payload[5]!;
  }
}
