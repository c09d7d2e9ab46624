/**
 * One million inputs to networks of plain and sealed circuits. The host and the world send
 * malformed packets, and links change, lose, duplicate, swap and invent cells:
 *
 * ```
 *   malformed ──► proxy ══ tampered ══ router ══ tampered ══ router ══ tampered ══ router ──► world
 *                                         └──── malformed ────┴──────── malformed ◄──┘
 * ```
 *
 * Nothing breaks, and each input to each party has exactly one outcome: it is dropped and counted,
 * forwarded, answered, or kept, or it ends a circuit.
 *
 * @module
 */
import assert from "node:assert/strict";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import { type IcmpSocket, RawIcmpExit } from "../../src/exit/raw_icmp/core.ts";
import { type Network, proxyConfig, routerConfig } from "../../src/node/network.ts";
import { ProxyCore } from "../../src/node/proxy.ts";
import { RouterCore } from "../../src/node/router.ts";
import type { Snapshot } from "../../src/trace/counters.ts";
import { SILENT } from "../../src/trace/events.ts";
import { PROVIDER } from "../support/crypto.ts";
import { isProperFragment, Malformed } from "../support/malformed.ts";
import { address, cell, concat, echo, ipv4, pattern, plainChecksum } from "../support/packets.ts";
import { Random } from "../support/random.ts";
import { assertReached, Tally } from "../support/tally.ts";
import { type IpAddress, LOOPBACK } from "../../src/ip/address.ts";

const [RELAY, EXTEND, RETURN] = [0x51, 0x52, 0x54];
const TYPES = [RELAY, EXTEND, 0x53, RETURN, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66];
const PROXY = 0;
/** Bytes of the longest UDP datagram. */
const LONGEST_DATAGRAM = 65_507;
const NUMBERS = [1, 2, 3, 4] as const;
const [VM, HOP] = ["10.0.2.15", "10.5.51.1"];
const addressOf = (router: number) => `192.168.20${router}.2`;

/** A cell under way. */
interface Datagram {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
}

/** The outputs of a party since the last check. */
class Outputs {
  cells = 0;
  toTun = 0;
  toWorld = 0;

  reset(): void {
    this.cells = this.toTun = this.toWorld = 0;
  }
}

/** A proxy and four routers, with circuits of three hops. The test controls all links. */
class Mesh {
  /** Number of inputs so far, to any party. */
  inputs = 0;
  now = 0;
  readonly tallies = [PROXY, ...NUMBERS].map(() => new Tally());
  readonly #outputs = [PROXY, ...NUMBERS].map(() => new Outputs());
  readonly #proxy: ProxyCore;
  readonly #routers: RouterCore[];
  readonly #exits: RawIcmpExit[] = [];
  readonly #links: Datagram[] = [];
  /** Packets from the world to an exit. */
  readonly #world: { readonly to: number; readonly packet: Uint8Array }[] = [];
  /** Earlier cells, to be repeated. */
  readonly #recorded: Datagram[] = [];
  readonly #random: Random;
  readonly #malformed: Malformed;
  readonly #buffer = new PacketBuffer();
  readonly #isSealed: boolean;

  constructor(isSealed: boolean, seed: number) {
    const random = this.#random = new Random(seed);
    this.#malformed = new Malformed(random);
    this.#isSealed = isSealed;
    const keys = NUMBERS.map(() => PROVIDER.generateKeyPair());
    const network: Network = {
      circuits: {
        kind: isSealed ? "sealed" : "plain",
        hops: 3,
        limits: { ...CIRCUIT_LIMITS, lifetime: 10_000 },
      },
      carries: ["icmp"],
      linkMtu: 65_535,
      tunMtu: 1500,
      proxy: { address: LOOPBACK, port: 40_000 },
      routers: NUMBERS.map((number, index) => ({
        link: { address: LOOPBACK, port: 40_000 + number },
        address: address(addressOf(number)),
        ...(isSealed && { key: keys[index]!.publicKey }),
      })),
    };
    const draw = () => random.word() / 2 ** 32;
    this.#proxy = new ProxyCore(
      proxyConfig(network, address(HOP)),
      {
        toTun: () => ++this.#outputs[PROXY]!.toTun > 0,
        toRouter: (neighbour, cell) => this.#carry(PROXY, neighbour + 1, cell),
      },
      { counters: this.tallies[PROXY]!.counters, events: SILENT },
      draw,
      isSealed ? PROVIDER : undefined,
    );
    this.#routers = NUMBERS.map((number, index) => {
      const trace = { counters: this.tallies[number]!.counters, events: SILENT };
      return new RouterCore(
        routerConfig(network, number),
        { toNeighbour: (neighbour, cell) => this.#carry(number, neighboursOf(number)[neighbour]!, cell) },
        trace,
        (deliver) => {
          const config = { address: address(addressOf(number)), hop: address(HOP) };
          return this.#exits[index] = new RawIcmpExit(config, this.#socketOf(number), deliver, trace, draw);
        },
        isSealed ? { crypto: PROVIDER, keys: keys[index]! } : undefined,
      );
    });
  }

  /** One step: the host sends a packet, or a link invents a cell; then all outcomes are checked. */
  step(): void {
    const random = this.#random;
    this.now += random.below(4);
    for (const core of [this.#proxy, ...this.#routers]) if (core.deadline <= this.now) core.expire(this.now);
    for (const outputs of this.#outputs) outputs.reset();
    if (random.oneIn(4)) {
      const to = random.below(5);
      const from = random.pick([PROXY, ...NUMBERS].filter((party) => party !== to));
      this.#links.push({ from, to, bytes: this.#madeUp(from, to) });
    } else {
      const source = random.oneIn(10) ? "10.0.2.16" : VM;
      const data = pattern(random.oneIn(50) ? random.below(4000) : random.below(100), random.below(256));
      const header = { source, destination: `128.30.2.${1 + random.below(250)}`, id: random.below(1000) };
      const packet = random.oneIn(3)
        ? this.#malformed.packet()
        : this.#malformed.mutation(random.oneIn(4) ? fragment(header, data) : ipv4(header, echo({ data })));
      this.#input(PROXY, () => this.#proxy.fromTun(this.#buffer, this.now), packet.slice(), true);
    }
    for (;;) {
      const datagram = this.#links.shift();
      const fromWorld = datagram === undefined ? this.#world.shift() : undefined;
      if (datagram !== undefined) this.#arrive(datagram);
      else if (fromWorld !== undefined) {
        const exit = this.#exits[fromWorld.to - 1]!;
        this.#input(fromWorld.to, () => exit.fromWorld(this.#buffer, this.now), fromWorld.packet, false);
      } else return;
    }
  }

  /** The counters of all routers, added up. */
  countedByRouters(): Snapshot {
    const sum: Snapshot = {};
    for (const { counters } of this.tallies.slice(1)) {
      for (const [name, count] of Object.entries(counters.snapshot()) as [keyof Snapshot, number][]) {
        sum[name] = (sum[name] ?? 0) + count;
      }
    }
    return sum;
  }

  /** Lets a very long time pass. */
  rest(): void {
    for (let time = 0; time < 1000; time++) {
      this.now += 1000;
      this.#proxy.expire(this.now);
      for (const core of this.#routers) core.expire(this.now);
      // No router answers any more.
      this.#links.length = 0;
    }
    assert.equal(this.#proxy.deadline, Infinity, "the proxy waits for nothing");
    for (const core of this.#routers) {
      assert.deepEqual(
        [core.deadline, core.circuits],
        [Infinity, 0],
        "the routers have removed every circuit",
      );
    }
  }

  #arrive({ from, to, bytes }: Datagram): void {
    if (to === PROXY) {
      return this.#input(PROXY, () => this.#proxy.fromLink(from - 1, this.#buffer, this.now), bytes, false);
    }
    const neighbour = neighboursOf(to).indexOf(from);
    this.#input(to, () => this.#routers[to - 1]!.fromLink(neighbour, this.#buffer, this.now), bytes, false);
  }

  /** Feeds one input, and checks that it has one outcome. */
  #input(member: number, take: () => void, bytes: Uint8Array, isHosts: boolean): void {
    this.inputs++;
    const [tally, outputs] = [this.tallies[member]!, this.#outputs[member]!];
    const { counters } = tally;
    const circuits = member === PROXY ? 0 : this.#routers[member - 1]!.circuits;
    const [dropped, full, built] = [
      tally.dropped,
      counters.get("reassembly-full"),
      counters.get("circuits-built"),
    ];
    const unheard = counters.get("queue-full");
    outputs.reset();
    this.#buffer.load(bytes);
    take();
    const gaveUp = counters.get("reassembly-full") - full;
    const change = {
      dropped: tally.dropped - dropped - gaveUp,
      gaveUp,
      cells: outputs.cells,
      toTun: outputs.toTun,
      toWorld: outputs.toWorld,
      built: counters.get("circuits-built") - built,
      unheard: counters.get("queue-full") - unheard,
      ended: member === PROXY ? 0 : circuits - this.#routers[member - 1]!.circuits,
    };
    if (!(member === PROXY ? isOneOfProxy(change, isHosts) : this.#isOneOfRouter(change, bytes))) {
      assert.fail(
        `input ${this.inputs} to ${member}, ${bytes.slice(0, 100).toHex()}: ${JSON.stringify(change)}`,
      );
    }
  }

  #isOneOfRouter(change: Change, bytes: Uint8Array): boolean {
    const { dropped, gaveUp, cells, toWorld, ended } = change;
    // Some drops cause an ICMP error.
    if (dropped > 0) return dropped === 1 && gaveUp === 0 && toWorld === 0;
    if (cells > 0 || toWorld > 0) return gaveUp === 0 && Math.min(cells, 1) + toWorld === 1;
    if (ended > 0) return ended === 1 && gaveUp === 0;
    // The test cannot read sealed cells, but only the proxy can have made them.
    return gaveUp <= 1 &&
      (this.#isSealed ? bytes[0] === 0x61 : isProperFragment(bytes, RELAY, circuitOf(bytes)));
  }

  /** Changes a cell on its link, or does not. */
  #carry(from: number, to: number, buffer: PacketBuffer): boolean {
    const random = this.#random;
    this.#outputs[from]!.cells++;
    if (buffer.length > LONGEST_DATAGRAM) assert.fail(`a cell of ${buffer.length} bytes`);
    const bytes = buffer.copy();
    const send = (...all: readonly Uint8Array[]) => {
      for (const each of all) this.#links.push({ from, to, bytes: each.subarray(0, LONGEST_DATAGRAM) });
      return true;
    };
    if (random.oneIn(50)) this.#recorded[random.below(100)] = { from, to, bytes };
    if (!random.oneIn(12)) return send(bytes);
    switch (random.below(8)) {
      case 0:
        return send();
      case 1:
        return send(bytes, bytes);
      case 2:
        bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
        return send(bytes);
      case 3:
        return send(bytes.subarray(0, random.below(bytes.length)));
      case 4:
        return send(concat(bytes, pattern(random.below(50))));
      case 5:
        return send(
          concat(Uint8Array.of(random.oneIn(4) ? random.below(256) : random.pick(TYPES)), bytes.subarray(1)),
        );
      case 6:
        return send(concat(bytes.subarray(0, 8), this.#malformed.mutation(bytes.subarray(8))));
      default: {
        const old = this.#recorded[random.below(100)];
        if (old === undefined) return send(bytes);
        this.#links.push(old);
        return send(bytes);
      }
    }
  }

  /** An invented cell, mostly with the id of an existing circuit. */
  #madeUp(from: number, to: number): Uint8Array {
    const random = this.#random;
    const party = random.pick([from, to]);
    const circuit = party * 0x100 + 1 + random.below(20);
    if (random.oneIn(3)) return this.#malformed.cell(random.pick(TYPES), circuit).slice();
    const body = random.pick([
      new Uint8Array(),
      concat(new Uint8Array(4), Uint8Array.of(0x9c, 0x40 + random.below(6))),
      pattern(48, random.below(256)),
      pattern(random.below(200)),
      ipv4({ source: VM, destination: addressOf(1 + random.below(4)) }, echo({ type: 0 })),
    ]);
    return cell(random.pick(TYPES), circuit, body);
  }

  /**
   * The world beyond a router. It accepts most messages, and answers, though not always correctly.
   */
  #socketOf(router: number): IcmpSocket {
    const random = this.#random;
    return {
      fd: undefined,
      mtu: 1500,
      send: (buffer, from, { destination }) => {
        if (random.oneIn(20)) return random.oneIn(2) ? "refused" : "too-long";
        this.#outputs[router]!.toWorld++;
        const message = buffer.bytes.slice(from, buffer.end);
        const header = { source: dotted(destination), destination: addressOf(router) };
        const about = ipv4({ source: header.destination, destination: header.source }, message);
        const answer = random.oneIn(5)
          ? echo({ type: 11, id: 0, sequence: 0, data: about.subarray(0, 548) })
          : replyTo(message);
        const packet = ipv4(header, answer);
        if (!random.oneIn(10)) {
          this.#world.push({
            to: router,
            packet: random.oneIn(3) ? this.#malformed.mutation(packet).slice() : packet,
          });
        }
        return "sent";
      },
      receive: () => false,
    };
  }
}

/** The effects of one input. */
interface Change {
  readonly dropped: number;
  readonly gaveUp: number;
  readonly cells: number;
  readonly toTun: number;
  readonly toWorld: number;
  readonly built: number;
  readonly ended: number;
  /** Number of packets that had no room to wait. */
  readonly unheard: number;
}

function isOneOfProxy({ dropped, cells, toTun, built, unheard }: Change, isHosts: boolean): boolean {
  // A refusal causes an error. If there is no room to wait, the proxy still starts a circuit. Any
  // other packet leaves in one or several cells, or waits.
  if (isHosts) return dropped === 1 ? cells <= unheard && toTun <= 1 : dropped === 0 && toTun === 0;
  if (dropped > 0) return dropped === 1 && cells + toTun + built === 0;
  // An answer causes the next extend cell, or opens the circuit for waiting packets. A packet goes
  // to the host.
  return toTun === 1 ? cells + built === 0 : toTun === 0 && (built === 1 || cells === 1);
}

/** The neighbours of a router, in order. */
function neighboursOf(router: number): number[] {
  return [PROXY, ...NUMBERS].filter((party) => party !== router);
}

function circuitOf(bytes: Uint8Array): number {
  return bytes.length < 8 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(4);
}

function dotted(address: IpAddress): string {
  const bits = address as unknown as number;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
}

/** The first half of a ping, or the second. */
function fragment(header: Parameters<typeof ipv4>[0], data: Uint8Array): Uint8Array {
  const message = echo({ data: concat(data, new Uint8Array(16)) });
  const half = Math.max(8, (message.length >>> 1) & ~7);
  return data.length % 2 === 0
    ? ipv4({ ...header, moreFragments: true }, message.subarray(0, half))
    : ipv4({ ...header, offset: half }, message.subarray(half));
}

/** The echo reply to a request. */
function replyTo(request: Uint8Array): Uint8Array {
  const reply = request.slice();
  reply[0] = reply[2] = reply[3] = 0;
  new DataView(reply.buffer).setUint16(2, plainChecksum(reply));
  return reply;
}

const IN_BOTH = [
  "bad-cell",
  "unexpected-cell",
  "unknown-circuit",
  "bad-destination",
  "ttl-expired",
  "too-long",
  "exit-refused",
  "not-ours",
  "fragment-overlap",
  "exit-out",
  "link-out",
] as const;

for (const isSealed of [false, true]) {
  Deno.test(`malformed input: 500,000 to a ${isSealed ? "sealed" : "plain"} network, each with one outcome, and nothing left in the end`, () => {
    const mesh = new Mesh(isSealed, isSealed ? 6 : 7);
    while (mesh.inputs < 500_000) mesh.step();
    const routers = mesh.countedByRouters();
    const proxy = mesh.tallies[PROXY]!.counters.snapshot();
    assertReached(routers, ...IN_BOTH);
    assertReached(
      proxy,
      "bad-cell",
      "unexpected-cell",
      "unknown-circuit",
      "circuits-built",
      "builds-failed",
      "tun-out",
    );
    if (isSealed) {
      assertReached(routers, "bad-handshake", "forged", "replayed", "truncated");
      assertReached(proxy, "bad-handshake", "forged", "replayed", "truncated");
    } else {
      assertReached(
        routers,
        "not-ipv4",
        "bad-length",
        "header-checksum",
        "bad-fragment",
        "not-carried",
        "bad-extend",
      );
      assertReached(proxy, "not-ipv4", "bad-length", "header-checksum", "not-a-reply");
    }
    mesh.rest();
  });
}
