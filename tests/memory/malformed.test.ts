/**
 * One million malformed inputs. Nothing breaks, and each input has exactly one outcome: it is
 * dropped and counted, delivered, answered, or kept for reassembly. For circuits that are built,
 * see `malformed_circuits.test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { CIRCUIT_LIMITS } from "../../src/circuit/origin/pool.ts";
import { createHmac } from "node:crypto";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { Conversation } from "../../src/control/conversation.ts";
import { FrameCodec, FrameKind, PROXY } from "../../src/control/frame.ts";
import { ROUTER_MESSAGE } from "../../src/control/messages.ts";
import { WireError } from "../../src/errors.ts";
import { EchoExit } from "../../src/exit/echo/core.ts";
import { type IcmpSocket, RawIcmpExit } from "../../src/exit/raw_icmp/core.ts";
import { type Network, proxyConfig, routerConfig } from "../../src/node/network.ts";
import { ProxyCore } from "../../src/node/proxy.ts";
import { RouterCore } from "../../src/node/router.ts";
import type { CounterName, Snapshot } from "../../src/trace/counters.ts";
import { SILENT } from "../../src/trace/events.ts";
import { isProperFragment, Malformed } from "../support/malformed.ts";
import { address, concat, echo, ipv4, pattern } from "../support/packets.ts";
import { BLOCK } from "../support/network.ts";
import { Random } from "../support/random.ts";
import { assertReached, Tally } from "../support/tally.ts";
import { type IpAddress, LOOPBACK } from "../../src/ip/address.ts";

const [PROXY_PORT, ROUTER_PORT, CIRCUIT] = [40_000, 40_001, 1];
const [RELAY_DATA, RETURN_DATA] = [0x51, 0x54];
const MTU = 1500;
/**
 * Bytes of the longest packet in a cell: 65,535 minus headers of 20 (IPv4), 8 (UDP) and 8 (cell).
 */
const MAX_CELL_PACKET = 65_499;
const EXIT = "192.168.201.2";

/** A network of direct circuits. */
const DIRECT: Network = {
  circuits: { kind: "direct", hops: 1, limits: CIRCUIT_LIMITS },
  carries: ["icmp"],
  linkMtu: 65_535,
  tunMtu: MTU,
  proxy: { address: LOOPBACK, port: PROXY_PORT },
  routers: [{ link: { address: LOOPBACK, port: ROUTER_PORT }, address: undefined }],
};

/** A core with its outputs and its counters. */
interface Bench {
  readonly tally: Tally;
  /** Numbers of packets to the host, cells to the neighbour, and messages to the world. */
  toTun: number;
  cells: number;
  toWorld: number;
  readonly take: (input: PacketBuffer, now: number) => void;
}

function makeProxy(entrance: "tun" | "link", refuseAs?: IpAddress): Bench {
  const tally = new Tally();
  const bench = { tally, toTun: 0, cells: 0, toWorld: 0 };
  const core = new ProxyCore(
    proxyConfig(DIRECT, refuseAs),
    {
      toTun: () => ++bench.toTun > 0,
      toRouter: (_, cell) => {
        if (cell.length > 65_507) assert.fail(`a cell of ${cell.length} bytes`);
        return ++bench.cells > 0;
      },
    },
    { counters: tally.counters, events: SILENT },
    () => assert.fail("a given circuit needs no chance"),
  );
  return Object.assign(bench, {
    take: entrance === "tun"
      ? (input: PacketBuffer, now: number) => core.fromTun(input, now)
      : (input: PacketBuffer, now: number) => core.fromLink(0, input, now),
  });
}

interface RouterBench extends Bench {
  readonly core: RouterCore;
  /** Takes a packet from the world, if the exit leads there. */
  readonly fromWorld: (input: PacketBuffer, now: number) => void;
}

function makeRouter(exitKind: "echo" | "raw-icmp"): RouterBench {
  const tally = new Tally();
  const bench = { tally, toTun: 0, cells: 0, toWorld: 0 };
  const trace = { counters: tally.counters, events: SILENT };
  const random = new Random(3);
  // The kernel accepts most messages, but not all.
  const socket: IcmpSocket = {
    fd: undefined,
    mtu: MTU,
    send: () => random.oneIn(10) ? "refused" : random.oneIn(10) ? "too-long" : (bench.toWorld++, "sent"),
    receive: () => false,
  };
  let raw: RawIcmpExit | undefined;
  const core = new RouterCore(
    routerConfig(DIRECT, 1),
    {
      toNeighbour: (_, cell) => {
        if (cell.length > 8 + MTU) assert.fail(`a cell of ${cell.length} bytes`);
        return ++bench.cells > 0;
      },
    },
    trace,
    (deliver) => {
      if (exitKind === "echo") return new EchoExit(BLOCK, deliver, trace);
      const config = { address: address(EXIT), hop: address("10.5.51.1") };
      // Few identifiers, so that packets from the world often match a session.
      return raw = new RawIcmpExit(config, socket, deliver, trace, () => random.below(16) / 65_536);
    },
  );
  return Object.assign(bench, {
    core,
    take: (input: PacketBuffer, now: number) => core.fromLink(0, input, now),
    fromWorld: (input: PacketBuffer, now: number) => raw!.fromWorld(input, now),
  });
}

/** The effects of one input. */
interface Change {
  readonly dropped: number;
  readonly toTun: number;
  readonly cells: number;
  readonly toWorld: number;
}

/**
 * Feeds inputs one by one, and judges the effects of each.
 *
 * @param entrance the counter that counts each input
 * @param judge whether the input has exactly one outcome
 */
function storm(
  count: number,
  bench: Bench,
  entrance: CounterName,
  make: () => Uint8Array,
  judge: (change: Change, input: Uint8Array) => boolean,
  take = bench.take,
): Snapshot {
  const { tally } = bench;
  const buffer = new PacketBuffer();
  for (let number = 0; number < count; number++) {
    const input = make();
    const { toTun, cells, toWorld } = bench;
    const [dropped, entered] = [tally.dropped, tally.counters.get(entrance)];
    buffer.load(input);
    take(buffer, number);
    const change = {
      dropped: tally.dropped - dropped,
      toTun: bench.toTun - toTun,
      cells: bench.cells - cells,
      toWorld: bench.toWorld - toWorld,
    };
    if (tally.counters.get(entrance) !== entered + 1 || !judge(change, input)) {
      assert.fail(`input ${number}, ${input.slice(0, 100).toHex()}: ${JSON.stringify(change)}`);
    }
  }
  return tally.counters.snapshot();
}

/** Judges a router, in which a fragment may wait, and may displace an older datagram. */
function judgeRouter({ tally }: Bench, isOne: (change: Change) => boolean) {
  let full = 0;
  return (change: Change, input: Uint8Array): boolean => {
    const given = tally.counters.get("reassembly-full") - full;
    full += given;
    const own = { ...change, dropped: change.dropped - given };
    const waits = own.dropped + own.cells + own.toWorld === 0;
    if (given > 0 || waits) return given <= 1 && waits && isProperFragment(input, RELAY_DATA, CIRCUIT);
    return isOne(own);
  };
}

const IPV4_FAULTS = [
  "not-ipv4",
  "bad-length",
  "header-checksum",
  "bad-fragment",
  "not-carried",
  "icmp-checksum",
] as const;
const CELL_FAULTS = ["bad-cell", "unexpected-cell", "unknown-circuit"] as const;
const REASSEMBLY_FAULTS = ["fragment-overlap", "reassembly-full"] as const;

Deno.test("malformed input: 250,000 packets from the host, each sent, dropped, or refused once", () => {
  for (const refuseAs of [undefined, address("10.5.51.1")]) {
    const malformed = new Malformed(new Random(1));
    const counted = storm(
      125_000,
      makeProxy("tun", refuseAs),
      "tun-in",
      () => malformed.packet(),
      ({ dropped, toTun, cells }, input) =>
        dropped === 1
          ? cells === 0 && toTun <= (refuseAs === undefined ? 0 : 1)
          : dropped === 0 && toTun === 0 && cells === (input.length > MAX_CELL_PACKET ? 2 : 1),
    );
    assertReached(counted, ...IPV4_FAULTS, "bad-source", "not-echo-request", "link-out");
  }
});

Deno.test("malformed input: 200,000 datagrams from a router, each delivered or dropped", () => {
  const malformed = new Malformed(new Random(2));
  const counted = storm(
    200_000,
    makeProxy("link"),
    "link-in",
    () => malformed.cell(RETURN_DATA, CIRCUIT),
    ({ dropped, toTun, cells }) => cells === 0 && dropped + toTun === 1,
  );
  assertReached(counted, ...IPV4_FAULTS, ...CELL_FAULTS, "not-a-reply", "tun-out");
});

Deno.test("malformed input: 250,000 datagrams for a router, each answered, kept, or dropped", () => {
  const malformed = new Malformed(new Random(3));
  const bench = makeRouter("echo");
  const counted = storm(
    250_000,
    bench,
    "link-in",
    () => malformed.cell(RELAY_DATA, CIRCUIT),
    judgeRouter(bench, ({ dropped, cells }) => dropped + Math.min(cells, 1) === 1),
  );
  assertReached(
    counted,
    ...IPV4_FAULTS,
    ...CELL_FAULTS,
    ...REASSEMBLY_FAULTS,
    "not-echo-request",
    "bad-destination",
    "link-out",
  );
  bench.core.expire(1e9);
  assert.equal(bench.core.deadline, Infinity);
});

Deno.test("malformed input: 200,000 packets to and from the world, each sent, delivered, kept, or dropped", () => {
  const random = new Random(4);
  const malformed = new Malformed(random);
  const bench = makeRouter("raw-icmp");
  const outward = storm(
    100_000,
    bench,
    "link-in",
    () => malformed.cell(RELAY_DATA, CIRCUIT),
    // Some drops cause an ICMP error. Pings to the exit itself are answered.
    judgeRouter(
      bench,
      ({ dropped, cells, toWorld }) =>
        dropped === 1 ? toWorld === 0 && cells <= 1 : dropped === 0 && Math.min(cells, 1) + toWorld === 1,
    ),
  );
  assertReached(
    outward,
    ...REASSEMBLY_FAULTS,
    "ttl-expired",
    "too-long",
    "exit-refused",
    "bad-destination",
    "exit-out",
  );

  const request = (id: number) =>
    ipv4({ source: EXIT, destination: "10.5.51.7" }, echo({ id, data: pattern(56) }));
  const fromWorld = { source: "10.5.51.7", destination: EXIT };
  const inward = storm(
    100_000,
    bench,
    "exit-in",
    () => {
      if (random.oneIn(4)) return malformed.packet();
      const id = random.below(16);
      if (random.oneIn(2)) {
        return malformed.mutation(ipv4(fromWorld, echo({ type: 0, id, data: pattern(56) })));
      }
      return malformed.mutation(
        ipv4(fromWorld, echo({ type: random.pick([3, 5, 11, 12]), data: request(id) })),
      );
    },
    ({ dropped, cells, toWorld }) => toWorld === 0 && dropped + Math.min(cells, 1) === 1,
    bench.fromWorld,
  );
  assertReached(inward, "not-ours", "link-out");
});

/** The next sequence numbers of a conversation. */
interface Expected {
  message: number;
  acknowledgement: number;
}

/** Control datagrams: changed frames, mostly with a valid tag, and noise. */
function* controlDatagrams(
  random: Random,
  key: Uint8Array,
  expected: Readonly<Expected>,
): Generator<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const bodies = [
    '{"type":"up","version":1,"pid":7,"port":9}',
    '{"type":"alive","counters":{},"rejected":0}',
    '{"type":"up","version":1,"pid":7}',
    '{"type":"alive","counters":{"link-in":-1},"rejected":0}',
    "",
    "{}",
    "null",
    "[]",
    "7",
    '{"type":7}',
    '{"type":"\\ud800"}',
    '{"__proto__":{"type":"up"}}',
    '{"type":"up"',
    `${"[".repeat(500)}${"]".repeat(500)}`,
    "\u{1f9c5}",
  ].map((text) => encoder.encode(text));
  for (;;) {
    if (random.oneIn(10)) {
      const noise = new Uint8Array(random.below(200));
      random.fill(noise);
      yield noise;
      continue;
    }
    const kind = random.pick([FrameKind.message, FrameKind.acknowledgement]);
    // Mostly the next number, so that the conversation advances.
    const next = kind === FrameKind.message ? expected.message : expected.acknowledgement;
    const number = random.oneIn(4) ? random.pick([0, 1, 2, next + 1, 2 ** 31, 2 ** 32 - 1]) : next;
    const header = Uint8Array.of(
      random.oneIn(20) ? random.below(256) : 1,
      random.oneIn(10) ? random.below(256) : kind,
      random.oneIn(10) ? random.below(256) : 1,
      random.oneIn(10) ? random.below(256) : PROXY,
      ...[24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff),
    );
    const body = random.oneIn(3) ? random.pick(bodies) : bodies[0]!;
    const signed = concat(header, body);
    const frame = concat(signed, createHmac("sha256", key).update(signed).digest());
    if (random.oneIn(5)) frame[random.below(frame.length)]! ^= 1 << random.below(8);
    yield random.oneIn(10) ? frame.slice(0, random.below(frame.length)) : frame;
  }
}

/** Whether the proxy can read a message of a router. */
function isSense(json: unknown): boolean {
  try {
    return ROUTER_MESSAGE.decode(json, "").type !== undefined;
  } catch (error) {
    assert.ok(error instanceof WireError, String(error));
    return false;
  }
}

Deno.test("malformed input: 100,000 control datagrams, each rejected, repeated, or taken in order", async () => {
  const key = new Uint8Array(32).fill(7);
  const codec = await FrameCodec.of(key);
  const expected: Expected = { message: 1, acknowledgement: 1 };
  const datagrams = controlDatagrams(new Random(5), key, expected);
  let acknowledged = 0;
  const conversation = new Conversation<unknown, unknown>(PROXY, 1, ({ kind }) => {
    if (kind === FrameKind.acknowledgement) acknowledged++;
  });
  const outcomes = { refused: 0, message: 0, nonsense: 0, acknowledged: 0, repeated: 0, foreign: 0 };
  const [count, batch] = [100_000, 50];
  for (let now = 0; now < count; now += batch) {
    if (conversation.isQuiet) conversation.say({ type: "settings" }, now);
    const opened = await Promise.allSettled(
      Array.from({ length: batch }, () => codec.open(datagrams.next().value!)),
    );
    for (const result of opened) {
      if (result.status === "rejected") {
        assert.ok(result.reason instanceof WireError, String(result.reason));
        outcomes.refused++;
        continue;
      }
      const before = acknowledged;
      const arrival = conversation.take(result.value, now);
      if (arrival.kind !== "message") outcomes[arrival.kind]++;
      const isMessage = result.value.kind === FrameKind.message;
      assert.equal(acknowledged - before, isMessage && arrival.kind !== "foreign" ? 1 : 0);
      if (arrival.kind === "acknowledged") expected.acknowledgement++;
      if (arrival.kind !== "message") continue;
      outcomes[isSense(arrival.message) ? "message" : "nonsense"]++;
      assert.equal(result.value.sequence, expected.message++, "each once, and in order");
    }
    conversation.repeat(now);
  }
  assert.equal(Object.values(outcomes).reduce((sum, each) => sum + each, 0), count);
  for (const [outcome, times] of Object.entries(outcomes)) {
    assert.ok(times > 0, `${outcome} was never reached`);
  }
});
