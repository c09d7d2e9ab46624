/**
 * A rig for the core of the proxy.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { CircuitKindName } from "../../src/circuit/kind.ts";
import { CIRCUIT_LIMITS, type CircuitLimits } from "../../src/circuit/origin/pool.ts";
import { ProxyCore } from "../../src/node/proxy.ts";
import { Counters, type Snapshot } from "../../src/trace/counters.ts";
import { PROVIDER } from "./crypto.ts";
import { EventMemory } from "./events.ts";
import { address, ipv4, poisoned } from "./packets.ts";
import { Random } from "./random.ts";
import { type AtExit, Routers } from "./routers.ts";

/** The options of a {@linkcode ProxyRig}. */
export interface ProxyRigOptions {
  /** Sealed by default. */
  readonly kind?: CircuitKindName;
  /** 3 by default. */
  readonly hops?: number;
  readonly limits?: Partial<CircuitLimits>;
  readonly linkMtu?: number;
  readonly firstClient?: string;
  /** The source of ICMP errors to the host. Without it, there are none. */
  readonly refuseAs?: string;
}

/**
 * A proxy with four real routers. The test plays the host and the exits. If circuits are direct,
 * there is one router, which the test plays.
 *
 * ```
 *   test plays the host ── TUN ──► proxy ──► routers ──► test plays the exits
 *                       ◄── TUN ─── proxy ◄── routers ◄──
 * ```
 */
export class ProxyRig {
  readonly routers: Routers;
  readonly core: ProxyCore;
  readonly log = new EventMemory();
  readonly toTun: Uint8Array[] = [];
  /** The cells sent so far, each with the number of its router. */
  readonly sent: { readonly router: number; readonly cell: Uint8Array }[] = [];
  /** Changes cells that travel to the proxy. */
  tamper: (cell: Uint8Array) => Uint8Array[] = (cell) => [cell];
  /** Whether cells reach the routers. If not, they are only kept in {@linkcode ProxyRig.sent}. */
  isJoined: boolean;
  takes = true;
  now = 0;
  readonly #counters = new Counters();
  readonly #underWay: { readonly router: number; readonly cell: Uint8Array }[] = [];

  constructor(options: ProxyRigOptions = {}) {
    const { kind = "sealed", hops = 3, limits, linkMtu = 65_535, firstClient, refuseAs } = options;
    const random = new Random(1);
    this.routers = new Routers(kind === "direct" ? 1 : 4, kind);
    this.isJoined = kind !== "direct";
    const routers = this.routers.descriptions.map((router) => ({ ...router, address: undefined }));
    this.core = new ProxyCore(
      {
        routers,
        circuits: {
          kind,
          hops,
          limits: { ...CIRCUIT_LIMITS, ...limits },
          ...(firstClient !== undefined && { firstClient: address(firstClient) }),
        },
        carries: ["icmp"],
        linkMtu,
        ...(refuseAs !== undefined && { refuseAs: address(refuseAs) }),
      },
      {
        toTun: (packet) => this.takes && this.toTun.push(packet.copy()) > 0,
        toRouter: (neighbour, buffer) => {
          const sent = { router: neighbour + 1, cell: buffer.copy() };
          this.sent.push(sent);
          this.#underWay.push(sent);
          return this.takes;
        },
      },
      { counters: this.#counters, events: this.log },
      () => kind === "direct" ? assert.fail("direct circuits need no chance") : random.word() / 2 ** 32,
      kind === "sealed" ? PROVIDER : undefined,
    );
  }

  /** Sends packets as the host, and moves cells until none is left. */
  fromTun(...packets: readonly Uint8Array[]): this {
    for (const packet of packets) this.core.fromTun(poisoned(packet), this.now);
    return this.settle();
  }

  /** Delivers a datagram from a router, by default router 1. */
  fromLink(datagram: Uint8Array, router = 1): this {
    this.core.fromLink(router - 1, poisoned(datagram), this.now);
    return this;
  }

  settle(): this {
    for (let next = this.#underWay.shift(); next !== undefined; next = this.#underWay.shift()) {
      if (!this.isJoined) continue;
      const { router, cell } = next;
      for (const answer of this.routers.send(router, [cell], 0, this.now)) {
        for (const each of this.tamper(answer)) this.fromLink(each, router);
      }
    }
    return this;
  }

  /** Moves the clock from deadline to deadline, as the packet loop does. */
  until(now: number): this {
    while (this.core.deadline <= now) {
      this.now = Math.max(this.now, this.core.deadline);
      this.core.expire(this.now);
      this.settle();
    }
    this.now = now;
    return this;
  }

  /** Answers a packet that reached an exit. */
  answer(at: AtExit, message: Uint8Array, from = "128.30.2.155"): this {
    const packet = ipv4({ source: from, destination: `192.168.20${at.router}.2` }, message);
    const first = this.sent[0]!.router;
    for (const bytes of this.routers.answer(at, packet)) {
      for (const each of this.tamper(bytes)) this.fromLink(each, first);
    }
    return this;
  }

  /** The id of the latest circuit, and the number of its first router. */
  get circuit(): { id: number; router: number } {
    const { router, cell } = this.sent.at(-1)!;
    return { id: new DataView(cell.buffer).getUint32(4), router };
  }

  /** The sequence numbers of the pings at the exits. */
  get arrived(): number[] {
    return this.routers.atExit.map(({ packet }) => packet[27]!);
  }

  /** The bytes of the cells sent so far. */
  get cells(): Uint8Array[] {
    return this.sent.map(({ cell }) => cell);
  }

  counted(): Snapshot {
    return this.#counters.snapshot();
  }

  /** The drops, by reason. */
  dropped(): Snapshot {
    const moved = ["tun-in", "tun-out", "link-in", "link-out", "circuits-built", "builds-failed"];
    return Object.fromEntries(Object.entries(this.counted()).filter(([name]) => !moved.includes(name)));
  }
}
