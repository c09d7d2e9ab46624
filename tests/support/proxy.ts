/**
 * A proxy by itself, for tests of its core.
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

/** What a {@linkcode ProxyRig} is made of. */
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
 * A proxy, behind which are four routers. The test plays the host, and what is at the exits. Direct
 * circuits have one router, which the test plays itself.
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
  /** Cells that have been sent, each to the router of this number. */
  readonly sent: { readonly router: number; readonly cell: Uint8Array }[] = [];
  /** What becomes of cells on their way to the proxy. */
  tamper: (cell: Uint8Array) => Uint8Array[] = (cell) => [cell];
  /** Whether the first routers get what is sent; nothing is lost where not, but for what is kept in {@linkcode ProxyRig.sent}. */
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

  /** The host sends packets, and everything moves until nothing does. */
  fromTun(...packets: readonly Uint8Array[]): this {
    for (const packet of packets) this.core.fromTun(poisoned(packet), this.now);
    return this.settle();
  }

  /** A datagram comes from a router, 1 unless told otherwise. */
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

  /** Lets the clock go on, as the packet loop does. */
  until(now: number): this {
    while (this.core.deadline <= now) {
      this.now = Math.max(this.now, this.core.deadline);
      this.core.expire(this.now);
      this.settle();
    }
    this.now = now;
    return this;
  }

  /** An exit answers what came to it. */
  answer(at: AtExit, message: Uint8Array, from = "128.30.2.155"): this {
    const packet = ipv4({ source: from, destination: `192.168.20${at.router}.2` }, message);
    const first = this.sent[0]!.router;
    for (const bytes of this.routers.answer(at, packet)) {
      for (const each of this.tamper(bytes)) this.fromLink(each, first);
    }
    return this;
  }

  /** The id of the circuit that was begun last, and the number of its first router. */
  get circuit(): { id: number; router: number } {
    const { router, cell } = this.sent.at(-1)!;
    return { id: new DataView(cell.buffer).getUint32(4), router };
  }

  /** The sequence numbers of what has come to the exits. */
  get arrived(): number[] {
    return this.routers.atExit.map(({ packet }) => packet[27]!);
  }

  /** The cells that have been sent. */
  get cells(): Uint8Array[] {
    return this.sent.map(({ cell }) => cell);
  }

  counted(): Snapshot {
    return this.#counters.snapshot();
  }

  /** What was dropped, and why. */
  dropped(): Snapshot {
    const moved = ["tun-in", "tun-out", "link-in", "link-out", "circuits-built", "builds-failed"];
    return Object.fromEntries(Object.entries(this.counted()).filter(([name]) => !moved.includes(name)));
  }
}
