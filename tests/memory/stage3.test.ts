/**
 * Stage 3 as a whole, in memory: the test plays the VM at one end and looks at the world at the other.
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
import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryNetwork, type MemoryNetworkOptions } from "../../src/loop/memory_network.ts";
import { MemoryWorld, type MemoryWorldOptions, type WorldHost } from "../../src/exit/memory.ts";
import { TRANSLATOR_LIMITS } from "../../src/exit/icmp_translator.ts";
import { eventLine } from "../../src/log/classic.ts";
import type { CounterName, DropReason, Snapshot } from "../../src/trace/counters.ts";
import { drops } from "../../src/trace/counters.ts";
import type { EventSink } from "../../src/trace/events.ts";
import { address, cell, concat, echo, hex, ipv4, pattern, readIpv4 } from "../support/packets.ts";
import {
  assertAnswers,
  assertQuotes,
  dotted,
  hear,
  type Heard,
  messageOf,
  packetsOf,
  type Ping,
  pingOf,
  tell,
} from "../support/ping.ts";
import { Random } from "../support/random.ts";

const VM = "10.0.2.15";
const HOP = "10.5.51.1";
const EXIT = "192.168.201.2";
const CSAIL = "128.30.2.155";
const MIT = "18.9.22.69";
const DEAD = "18.9.22.70";
const NOBODY = "18.9.22.71";

const WORLD: MemoryWorldOptions = {
  address: address(EXIT),
  routers: ["192.168.201.1", "100.64.1.1", "100.64.2.1"].map((router) => ({ address: address(router) })),
  host: (host): WorldHost =>
    host === address(DEAD) ? "silent" : host === address(NOBODY) ? "unreachable" : "answers",
};

interface Options {
  readonly world?: Partial<MemoryWorldOptions>;
  readonly network?: Partial<MemoryNetworkOptions>;
}

/** A stage 3 network that has just come up. */
class Stage3 {
  readonly world: MemoryWorld;
  readonly network: MemoryNetwork;
  readonly lines = { proxy: [] as string[], router: [] as string[] };
  readonly mtu: number;

  constructor({ world, network }: Options = {}) {
    const log = (lines: string[]): EventSink => ({
      emit: (kind, source, destination, detail, port, incoming = 0, outgoing = 0, rewritten = 0) =>
        lines.push(eventLine({ kind, source, destination, detail, port, incoming, outgoing, rewritten })),
    });
    this.world = new MemoryWorld({ ...WORLD, ...world });
    this.network = new MemoryNetwork({
      address: { address: address("10.5.51.2"), prefix: 24 },
      exit: { kind: "raw-icmp", world: this.world },
      events: { proxy: log(this.lines.proxy), router: log(this.lines.router) },
      ...network,
    });
    this.mtu = network?.mtu ?? 1500;
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

  /** Sends one request, and tells what came back as `ping` would, after proving that it would know it for its own. */
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

// ── Out and back ────────────────────────────────────────────────────────────────────────────────────────────────

Deno.test("a ping is answered by the world, with the world's TTL less the onion's one hop", () => {
  const stage = new Stage3();
  // 64 from the host, less three routers, less the onion.
  assert.deepEqual(stage.ping(), [`reply from ${CSAIL}: id 7, seq 1, ttl 60`]);
  const sent = readIpv4(stage.world.take()[0]!);
  assert.equal(dotted(sent.source), EXIT);
  assert.equal(dotted(sent.destination), CSAIL);
  assert.equal(sent.ttl, 63, "and one less on the way out");
  assert.notDeepEqual(sent.payload, messageOf(pingOf()), "by another identifier");
  assert.deepEqual(
    sent.payload.subarray(6),
    messageOf(pingOf()).subarray(6),
    "sequence number and data as they were",
  );
  assert.deepEqual(stage.dropped(), {});
});

Deno.test("ping -c 4: the classic log, line by line", () => {
  const stage = new Stage3();
  for (let sequence = 1; sequence <= 4; sequence++) stage.ping({ sequence });
  assert.deepEqual(
    stage.lines.proxy,
    Array(4).fill([
      `ICMP from tunnel, src: ${VM}, dst: ${CSAIL}, type: 8`,
      `ICMP from port: 40001, src: ${CSAIL}, dst: ${VM}, type: 0`,
    ]).flat(),
  );
  assert.deepEqual(
    stage.lines.router,
    Array(4).fill([
      `ICMP from port: 40000, src: ${VM}, dst: ${CSAIL}, type: 8`,
      `ICMP from raw sock, src: ${CSAIL}, dst: ${EXIT}, type: 0`, // as it came, not yet translated
    ]).flat(),
  );
});

Deno.test("the classic log of an error names who complains, and of what is not ours it says nothing", () => {
  const stage = new Stage3();
  stage.ping({ ttl: 3 });
  assert.equal(stage.lines.router[1], `ICMP from raw sock, src: 100.64.1.1, dst: ${EXIT}, type: 11`);
  assert.equal(stage.lines.proxy[1], `ICMP from port: 40001, src: 100.64.1.1, dst: ${VM}, type: 11`);
  stage.fromWorld(ipv4({ source: CSAIL, destination: EXIT }, echo({ type: 0, id: 1 })));
  assert.equal(stage.lines.router.length, 2);
});

Deno.test("type of service, don't fragment and time to live are carried", () => {
  const stage = new Stage3();
  for (
    const fields of [{ tos: 0xb8, dontFragment: true, ttl: 255 }, { tos: 0, dontFragment: false, ttl: 5 }]
  ) {
    assert.equal(stage.ping(fields).length, 1);
    const { tos, dontFragment, ttl } = readIpv4(stage.world.take()[0]!);
    assert.deepEqual({ tos, dontFragment, ttl: ttl + 1 }, fields);
  }
});

Deno.test("header options of a request end at the exit; its answer comes all the same", () => {
  const stage = new Stage3();
  const options = concat(hex("07 27 04"), new Uint8Array(37)); // ping -R: record the route, nine hops of it
  assert.equal(stage.ping({ options }).length, 1);
  assert.equal(stage.world.take()[0]![0], 0x45);
});

// ── Sessions ────────────────────────────────────────────────────────────────────────────────────────────────────

Deno.test("two pings with the same identifier, to two hosts and from two clients, each hear their own", () => {
  const stage = new Stage3();
  const pings = [
    pingOf({ destination: CSAIL }),
    pingOf({ destination: MIT }),
    pingOf({ destination: CSAIL, source: "10.0.2.16" }),
    pingOf({ destination: MIT, source: "10.0.2.16" }),
  ];
  for (let sequence = 1; sequence <= 3; sequence++) {
    const sent = pings.map((ping) => ({ ...ping, sequence }));
    const heard = stage.exchange(sent.flatMap((ping) => packetsOf(ping)));
    assert.equal(heard.length, sent.length);
    sent.forEach((ping, index) => assertAnswers(heard[index]!, ping));
  }
  const external = stage.world.take().map((packet) => packet.subarray(24, 26).toHex());
  assert.equal(new Set(external).size, 4, "four sessions, four identifiers");
});

Deno.test("200 destinations at once: every one answers, once", () => {
  const stage = new Stage3();
  const sent = Array.from(
    { length: 200 },
    (_, host) => pingOf({ destination: `18.1.${host >> 5}.${host & 31 | 32}` }),
  );
  const heard = stage.exchange(sent.flatMap((ping) => packetsOf(ping)));
  assert.equal(heard.length, 200);
  sent.forEach((ping, index) => assertAnswers(heard[index]!, ping));
  assert.deepEqual(stage.dropped(), {});
});

Deno.test("a dead host stays dead, whoever else answers: no reply is ever made up", () => {
  const stage = new Stage3();
  for (let sequence = 1; sequence <= 10; sequence++) {
    assert.deepEqual(stage.ping({ destination: DEAD, sequence }), []);
    assert.equal(stage.ping({ destination: MIT, sequence }).length, 1);
    assert.deepEqual(stage.listen(1000), []);
  }
  assert.equal(stage.world.take().length, 20, "it was asked every time");
});

Deno.test("an answer may take as long as a session lives, and not a millisecond longer", () => {
  for (
    const [wait, comes] of [[TRANSLATOR_LIMITS.idle - 1, true], [TRANSLATOR_LIMITS.idle, false]] as const
  ) {
    const stage = new Stage3();
    stage.ping({ destination: DEAD });
    stage.listen(wait);
    const reply = ipv4({ source: DEAD, destination: EXIT }, echo({ type: 0, id: stage.externalIdentifier }));
    assert.equal(stage.fromWorld(reply).length, comes ? 1 : 0, `after ${wait} ms`);
    assert.equal(stage.count("not-ours"), comes ? 0 : 1);
  }
});

Deno.test("a table full of sessions that wait for an answer takes no more, and says so in its counter", () => {
  const stage = new Stage3({ world: { host: () => "silent" } });
  const { sessions, grace } = TRANSLATOR_LIMITS;
  const ping = (host: number) => ipv4({ source: VM, destination: dotted(0x1200_0001 + host) }, echo());
  stage.exchange(Array.from({ length: sessions + 100 }, (_, host) => ping(host)));
  assert.equal(stage.count("exit-out"), sessions);
  assert.equal(stage.count("sessions-full"), 100);
  stage.exchange([ping(sessions)], grace);
  assert.equal(
    stage.count("exit-out"),
    sessions + 1,
    "when nothing more is to be expected, the oldest gives way",
  );
});

Deno.test("everything is drawn from what is injected: the same seed, the same packets", () => {
  const bytes = (random?: () => number) => {
    const stage = new Stage3(random === undefined ? {} : { network: { random } });
    stage.ping();
    return stage.world.take()[0]!;
  };
  assert.deepEqual(bytes(), bytes());
  assert.deepEqual(bytes(() => 0x1234 / 0x1_0000).subarray(24, 26), hex("1234"));
});

// ── Hops ────────────────────────────────────────────────────────────────────────────────────────────────────────

Deno.test("traceroute: the onion is one hop, then come the world's own, then the host", () => {
  const stage = new Stage3();
  const hops = Array.from(
    { length: 6 },
    (_, index) => stage.ping({ ttl: index + 1, sequence: index + 1 })[0],
  );
  assert.deepEqual(hops, [
    `${HOP}: time exceeded`,
    "192.168.201.1: time exceeded",
    "100.64.1.1: time exceeded",
    "100.64.2.1: time exceeded",
    `reply from ${CSAIL}: id 7, seq 5, ttl 60`,
    `reply from ${CSAIL}: id 7, seq 6, ttl 60`,
  ]);
  assert.equal(stage.count("ttl-expired"), 1, "the onion's own");
});

Deno.test("ping -t 1 never leaves the onion", () => {
  const stage = new Stage3();
  for (const ttl of [1, 0]) assert.deepEqual(stage.ping({ ttl }), [`${HOP}: time exceeded`]);
  assert.deepEqual(stage.world.take(), []);
});

Deno.test("a router of the world can be pinged, too, as mtr does", () => {
  assert.deepEqual(new Stage3().ping({ destination: "100.64.1.1" }), [
    "reply from 100.64.1.1: id 7, seq 1, ttl 62",
  ]);
});

Deno.test("a router that quotes 8 bytes, and one that quotes 548: ping knows its request in both", () => {
  const routers = [{ address: address("192.168.201.1"), longestError: 56 }, {
    address: address("100.64.1.1"),
  }];
  const stage = new Stage3({ world: { routers } });
  assert.deepEqual(stage.ping({ ttl: 2, size: 1400 }), ["192.168.201.1: time exceeded"]);
  assert.deepEqual(stage.ping({ ttl: 3, size: 1400 }), ["100.64.1.1: time exceeded"]);
});

Deno.test("what stands behind a quote comes along: the labels that mtr -e shows (RFC 4950)", () => {
  const stage = new Stage3();
  const ping = pingOf({ destination: DEAD });
  stage.exchange(packetsOf(ping));
  const quote = concat(stage.world.take()[0]!, new Uint8Array(44)); // padded to 128 bytes (RFC 4884 §5.1)
  const labels = hex("2000 2b78 0008 0101 00fd 4101");
  const error = echo({ type: 11, id: 128 / 4, sequence: 0, data: concat(quote, labels) });
  const [heard] = stage.fromWorld(ipv4({ source: "100.64.1.1", destination: EXIT }, error));
  assertQuotes({ ...heard!, payload: heard!.payload.subarray(0, 8 + 84) }, ping);
  assert.deepEqual(heard!.payload.subarray(4, 8), hex("0020 0000"));
  assert.deepEqual(heard!.payload.subarray(8 + 128), labels);
});

Deno.test("of a host that is not there, its last router tells", () => {
  assert.deepEqual(new Stage3().ping({ destination: NOBODY }), ["100.64.2.1: host unreachable"]);
});

Deno.test("a reply whose time to live is over at the onion ends there", () => {
  const stage = new Stage3();
  stage.ping({ destination: DEAD });
  const reply = echo({ type: 0, id: stage.externalIdentifier });
  assert.deepEqual(stage.fromWorld(ipv4({ source: DEAD, destination: EXIT, ttl: 1 }, reply)), []);
  assert.equal(stage.count("ttl-expired"), 1);
  const [heard] = stage.fromWorld(ipv4({ source: DEAD, destination: EXIT, ttl: 2 }, reply));
  assert.equal(heard!.ttl, 1);
});

// ── Length ──────────────────────────────────────────────────────────────────────────────────────────────────────

Deno.test("ping -M do: too long for the exit's own link, the onion says so; for a later one, its router does", () => {
  const dontFragment = true;
  const routers = WORLD.routers!.map((router, index) => index === 1 ? { ...router, mtu: 1280 } : router);
  const stage = new Stage3({ world: { mtu: 1400, routers } });
  assert.deepEqual(stage.ping({ size: 1472, dontFragment }), [`${HOP}: fragmentation needed, mtu 1400`]);
  assert.deepEqual(stage.ping({ size: 1373, dontFragment }), [`${HOP}: fragmentation needed, mtu 1400`]);
  assert.deepEqual(stage.world.take(), [], "it has not left");
  assert.equal(stage.count("too-long"), 2);
  assert.deepEqual(stage.ping({ size: 1372, dontFragment }), ["100.64.1.1: fragmentation needed, mtu 1280"]);
  assert.deepEqual(stage.ping({ size: 1252, dontFragment }), [`reply from ${CSAIL}: id 7, seq 1, ttl 60`]);
  assert.deepEqual(
    stage.ping({ size: 1472 }),
    [`reply from ${CSAIL}: id 7, seq 1, ttl 60`],
    "fragments get through",
  );
});

Deno.test("ping -s 20000: put together at the router, sent as one, and back in fragments that the tunnel takes", () => {
  for (const mtu of [1500, 1400, 576, 68]) {
    const stage = new Stage3({ network: { mtu } });
    assert.deepEqual(
      stage.ping({ size: 20_000 }),
      [`reply from ${CSAIL}: id 7, seq 1, ttl 60`],
      `MTU ${mtu}`,
    );
    assert.deepEqual(stage.world.take().map((packet) => packet.length), [20_028]);
    assert.equal(stage.lines.router.length, 2, "one packet there, one back");
  }
});

Deno.test("the longest ping that there is", () => {
  assert.equal(new Stage3().ping({ size: 65_507 }).length, 1);
});

Deno.test("a long ping whose time to live is over is complained about once, in one piece", () => {
  const stage = new Stage3();
  assert.deepEqual(stage.ping({ size: 20_000, ttl: 1 }), [`${HOP}: time exceeded`]);
  assert.deepEqual(stage.ping({ size: 20_000, ttl: 2 }), ["192.168.201.1: time exceeded"]);
});

Deno.test("fragments that never become whole are given up, and never leave", () => {
  const stage = new Stage3();
  const fragments = packetsOf(pingOf({ size: 4000 }));
  assert.deepEqual(stage.exchange(fragments.slice(1)), []);
  assert.deepEqual(stage.listen(30_000), []);
  assert.equal(stage.count("reassembly-timeout"), 1);
  assert.deepEqual(stage.exchange(fragments.slice(0, 1)), [], "too late");
  assert.deepEqual(stage.world.take(), []);
});

// ── The router itself ───────────────────────────────────────────────────────────────────────────────────────────

Deno.test("a ping of the router itself, by either of its addresses, is answered there, once", () => {
  const stage = new Stage3();
  for (const destination of [EXIT, HOP]) {
    assert.deepEqual(stage.ping({ destination }), [`reply from ${destination}: id 7, seq 1, ttl 64`]);
    assert.deepEqual(stage.ping({ destination, ttl: 1 }), [`reply from ${destination}: id 7, seq 1, ttl 64`]);
    assert.deepEqual(stage.ping({ destination, size: 20_000 }), [
      `reply from ${destination}: id 7, seq 1, ttl 64`,
    ]);
  }
  assert.deepEqual(stage.world.take(), []);
});

Deno.test("the world pings the exit's address: that is the kernel's to answer, and comes to nobody else", () => {
  const stage = new Stage3();
  assert.deepEqual(stage.fromWorld(ipv4({ source: CSAIL, destination: EXIT }, echo())), []);
  assert.equal(stage.count("not-ours"), 1);
});

// ── What is not carried ─────────────────────────────────────────────────────────────────────────────────────────

Deno.test("what no exit carries is refused as a router refuses it, counted, and never sent", () => {
  const cases: [name: string, packet: Uint8Array, reason: DropReason][] = [
    [
      "TCP",
      ipv4(
        { source: VM, destination: CSAIL, protocol: 6 },
        hex("c000 0050 00000001 00000000 5002 ffff 0000 0000"),
      ),
      "not-carried",
    ],
    [
      "UDP",
      ipv4({ source: VM, destination: CSAIL, protocol: 17 }, hex("c000 0035 0008 0000")),
      "not-carried",
    ],
    ["GRE", ipv4({ source: VM, destination: CSAIL, protocol: 47 }, new Uint8Array(4)), "not-carried"],
    [
      "an empty packet",
      ipv4({ source: VM, destination: CSAIL, protocol: 255 }, new Uint8Array()),
      "not-carried",
    ],
    [
      "the first fragment of UDP",
      ipv4({ source: VM, destination: CSAIL, protocol: 17, moreFragments: true }, pattern(1480)),
      "not-carried",
    ],
    [
      "ICMP timestamp",
      ipv4({ source: VM, destination: CSAIL }, echo({ type: 13, data: pattern(12) })),
      "not-echo-request",
    ],
    ["an echo reply", ipv4({ source: VM, destination: CSAIL }, echo({ type: 0 })), "not-echo-request"],
  ];
  for (const [name, packet, reason] of cases) {
    const stage = new Stage3();
    const heard = stage.exchange([packet]);
    assert.deepEqual(heard.map(tell), [`${HOP}: prohibited`], name);
    assert.equal(dotted(heard[0]!.destination), VM, name);
    assert.deepEqual(heard[0]!.payload.subarray(8), packet.subarray(0, 548), `${name}: the quote`);
    assert.deepEqual(stage.dropped(), { [reason]: 1 }, name);
    assert.deepEqual(stage.world.take(), [], name);
  }
});

Deno.test("nothing is said where RFC 1122 §3.2.2 forbids it, but everything is counted", () => {
  const udp = (header: Parameters<typeof ipv4>[0]) =>
    ipv4({ source: VM, destination: CSAIL, protocol: 17, ...header }, pattern(16));
  const icmp = (type: number) => ipv4({ source: VM, destination: CSAIL }, echo({ type, data: pattern(28) }));
  const cases: [name: string, packet: Uint8Array, reason: DropReason][] = [
    ["an error", icmp(3), "not-echo-request"],
    ["an error of another kind", icmp(11), "not-echo-request"],
    ["a redirect", icmp(5), "not-echo-request"],
    ["a later fragment", udp({ offset: 1480 }), "not-carried"],
    ["to a group", udp({ destination: "224.0.0.251" }), "not-carried"],
    ["to everybody", udp({ destination: "255.255.255.255" }), "not-carried"],
    ["from nobody", udp({ source: "0.0.0.0" }), "bad-source"],
    ["from a group", udp({ source: "224.0.0.1" }), "bad-source"],
    ["from the loopback", udp({ source: "127.0.0.1" }), "bad-source"],
    ["a ping of a group", ipv4({ source: VM, destination: "224.0.0.1" }, echo()), "bad-destination"],
    [
      "a ping of a group, ttl 1",
      ipv4({ source: VM, destination: "224.0.0.1", ttl: 1 }, echo()),
      "bad-destination",
    ],
    ["a ping of everybody", ipv4({ source: VM, destination: "255.255.255.255" }, echo()), "bad-destination"],
    ["a damaged ping", ipv4({ source: VM, destination: CSAIL }, echo({ checksum: 1 })), "icmp-checksum"],
    ["IPv6", concat(hex("60000000"), new Uint8Array(36)), "not-ipv4"],
  ];
  for (const [name, packet, reason] of cases) {
    const stage = new Stage3();
    assert.deepEqual(stage.exchange([packet]), [], name);
    assert.deepEqual(stage.dropped(), { [reason]: 1 }, name);
    assert.deepEqual(stage.world.take(), [], name);
  }
});

Deno.test("a router does not rely on what a proxy should have seen to", () => {
  const cases: [name: string, packet: Uint8Array, reason: DropReason][] = [
    ["UDP", ipv4({ source: VM, destination: CSAIL, protocol: 17 }, pattern(8)), "not-carried"],
    ["an echo reply", ipv4({ source: VM, destination: CSAIL }, echo({ type: 0 })), "not-echo-request"],
    ["a ping of a group", ipv4({ source: VM, destination: "239.1.2.3" }, echo()), "bad-destination"],
    [
      "a ping from a group, over at the first hop",
      ipv4({ source: "239.1.2.3", destination: CSAIL, ttl: 1 }, echo()),
      "ttl-expired",
    ],
  ];
  for (const [name, packet, reason] of cases) {
    const { network, world } = new Stage3();
    network.medium.carry(network.ports.proxy, network.ports.router, cell(0x51, 1, packet));
    network.run();
    assert.deepEqual([network.tun.take(), world.take()], [[], []], name);
    assert.equal(network.counters.router.get(reason), 1, name);
  }
});

Deno.test("what the kernel does not take for the world is counted, and the next one goes", () => {
  const stage = new Stage3();
  stage.world.isUp = false;
  assert.deepEqual(stage.ping(), []);
  assert.equal(stage.count("exit-refused"), 1);
  stage.world.isUp = true;
  assert.equal(stage.ping().length, 1);
});

// ── What the world sends unasked ────────────────────────────────────────────────────────────────────────────────

Deno.test("only an answer to a request of ours comes in; whatever else the world sends is dropped and counted", () => {
  const stage = new Stage3();
  stage.ping({ destination: DEAD });
  const id = stage.externalIdentifier;
  const reply = echo({ type: 0, id });
  const request = ipv4({ source: EXIT, destination: DEAD, ttl: 1 }, echo({ id, data: pattern(56) }));
  const from = (source: string, message: Uint8Array, destination = EXIT) =>
    ipv4({ source, destination }, message);
  const error = (about: Uint8Array, type = 11) =>
    from("100.64.1.1", echo({ type, id: 0, sequence: 0, data: about }));
  const asked = (header: Parameters<typeof ipv4>[0], message = echo({ id })) =>
    error(ipv4({ source: EXIT, destination: DEAD, ttl: 1, ...header }, message));

  const cases: [name: string, packet: Uint8Array, reason: DropReason][] = [
    ["a reply of another host", from(CSAIL, reply), "not-ours"],
    ["a reply with another identifier", from(DEAD, echo({ type: 0, id: id ^ 1 })), "not-ours"],
    ["a reply with the client's own identifier", from(DEAD, echo({ type: 0, id: 7 })), "not-ours"],
    ["a reply to another address", from(DEAD, reply, "192.168.201.3"), "not-ours"],
    ["a reply to the client itself", from(DEAD, reply, VM), "not-ours"],
    ["a reply from a group", from("224.0.0.1", reply), "bad-source"],
    ["a request", from(DEAD, echo({ id })), "not-ours"],
    ["a timestamp reply", from(DEAD, echo({ type: 14, id, data: pattern(12) })), "not-ours"],
    ["a redirect about our request", error(request, 5), "not-ours"],
    ["source quench about our request", error(request, 4), "not-ours"],
    ["another protocol", ipv4({ source: DEAD, destination: EXIT, protocol: 17 }, reply), "not-ours"],
    ["a piece of a reply", ipv4({ source: DEAD, destination: EXIT, moreFragments: true }, reply), "not-ours"],
    ["the last piece of a reply", ipv4({ source: DEAD, destination: EXIT, offset: 8 }, reply), "not-ours"],
    ["an error about another's packet", asked({ source: "192.168.201.3" }), "not-ours"],
    ["an error about a packet as the client sent it", asked({ source: VM }, echo()), "not-ours"],
    ["an error about a request to another host", asked({ destination: CSAIL }), "not-ours"],
    ["an error about another identifier", asked({}, echo({ id: id ^ 1 })), "not-ours"],
    ["an error about UDP that looks like ours", asked({ protocol: 17 }), "not-ours"],
    ["an error about a reply", asked({}, echo({ type: 0, id })), "not-ours"],
    ["an error about a later fragment that looks like ours", asked({ offset: 1480 }), "not-ours"],
    ["an error about an error about our request", error(error(request).with(12, 192)), "not-ours"],
    ["an error from a group", error(request).with(12, 224), "header-checksum"],
    [
      "an error from a group, in order",
      ipv4({ source: "224.0.0.1", destination: EXIT }, error(request).subarray(20)),
      "bad-source",
    ],
    ["an error about nothing", error(new Uint8Array()), "not-ours"],
    ["an error about half a header", error(request.subarray(0, 12)), "not-ours"],
    ["an error with 7 bytes of our request", error(request.subarray(0, 27)), "not-ours"],
    ["an error about IPv6", error(request.with(0, 0x65)), "not-ours"],
    ["a damaged reply", from(DEAD, echo({ type: 0, id, checksum: 1 })), "icmp-checksum"],
    ["a damaged header", from(DEAD, reply).with(8, 9), "header-checksum"],
    ["half a message", from(DEAD, reply.subarray(0, 4)), "bad-length"],
    ["a header alone", from(DEAD, new Uint8Array()), "bad-length"],
    ["half a header", from(DEAD, reply).subarray(0, 10), "bad-length"],
    ["nothing at all", new Uint8Array(), "not-ipv4"],
    ["IPv6", concat(hex("60000000"), new Uint8Array(36)), "not-ipv4"],
  ];
  for (const [name, packet, reason] of cases) {
    const before = stage.count(reason);
    assert.deepEqual(stage.fromWorld(packet), [], name);
    assert.equal(stage.count(reason), before + 1, name);
  }
  assert.equal(stage.count("tun-out", "proxy"), 0, "nothing has come near the VM");

  // And now the real ones.
  assert.deepEqual(stage.fromWorld(from(DEAD, reply)).map(tell), [`reply from ${DEAD}: id 7, seq 1, ttl 63`]);
  assert.deepEqual(stage.fromWorld(error(request)).map(tell), ["100.64.1.1: time exceeded"]);
  assert.deepEqual(stage.fromWorld(error(request.subarray(0, 28))).map(tell), ["100.64.1.1: time exceeded"]);
});

Deno.test("two answers to one request are two answers: whoever sees DUP! sees what the world sent", () => {
  const stage = new Stage3();
  stage.ping({ destination: DEAD });
  const reply = ipv4({ source: DEAD, destination: EXIT }, echo({ type: 0, id: stage.externalIdentifier }));
  assert.equal(stage.fromWorld(reply, reply).length, 2);
});

/*
 * One card: the exit's address is the VM's own, so its pings hear everything that the world sends to the exit.
 *
 *   ping A, id 100 ──► TUN … exit, id X ──► world ──► id X ──┬──► exit … TUN ──► id 100 ──► ping A
 *   ping B, id 200 ──► TUN … exit, id Y ──► world            └──► A and B, who must not know X for theirs
 */
Deno.test("on a host with one card no answer of the world looks like the answer to another ping of the host", () => {
  const stage = new Stage3({ world: { address: address(VM) }, network: { random: () => 200 / 65_536 } });
  const heard = (id: number) => stage.ping({ id }).length;
  assert.equal(heard(100), 1);
  assert.equal(stage.externalIdentifier, 200);
  assert.equal(heard(200), 1);
  assert.equal(heard(100), 1);
  for (const packet of stage.world.take()) {
    assert.ok(![100, 200].includes(packet[24]! << 8 | packet[25]!), "the identifier of a ping of this host");
  }
});

// ── Whatever happens ────────────────────────────────────────────────────────────────────────────────────────────

Deno.test("any ping over any path: what comes back is what the path says, and ping knows it for its own", () => {
  const anyPing = fc.record({
    destination: fc.constantFrom(CSAIL, MIT, DEAD, NOBODY, "100.64.0.2"),
    source: fc.constantFrom(VM, "10.0.2.16"),
    id: fc.nat(0xffff),
    sequence: fc.nat(0xffff),
    ttl: fc.nat(9),
    tos: fc.nat(0xff),
    dontFragment: fc.boolean(),
    size: fc.oneof(fc.nat(64), fc.nat(1472), fc.nat(9000)),
  }).filter(({ dontFragment, size }) => !dontFragment || size <= 1472);
  const mtu = fc.constantFrom(68, 576, 1006, 1280, 1492, 1500);
  const anyRouter = fc.record({ mtu, longestError: fc.constantFrom(56, 576) });

  fc.assert(
    fc.property(
      fc.array(anyPing, { maxLength: 8 }),
      mtu,
      fc.array(anyRouter, { maxLength: 5 }),
      (pings, first, kinds) => {
        const routers = kinds.map((kind, index) => ({ ...kind, address: address(`100.64.0.${index + 1}`) }));
        const stage = new Stage3({ world: { mtu: first, routers } });
        for (const ping of pings) assert.deepEqual(stage.ping(ping), path(pingOf(ping), first, routers));
      },
    ),
    { numRuns: 300 },
  );

  /** The path, walked plainly. */
  function path(
    { destination, ttl, dontFragment, size, id, sequence }: Ping,
    first: number,
    routers: { address: number; mtu: number }[],
  ): string[] {
    const tooLong = (mtu: number) => dontFragment && 28 + size > mtu;
    const reply = (
      hops: number,
    ) => [`reply from ${destination}: id ${id}, seq ${sequence}, ttl ${63 - hops}`];
    if (ttl <= 1) return [`${HOP}: time exceeded`];
    if (tooLong(first)) return [`${HOP}: fragmentation needed, mtu ${first}`];
    for (const [index, router] of routers.entries()) {
      const name = dotted(router.address);
      if (name === destination) return reply(index);
      if (ttl - 1 - index <= 1) return [`${name}: time exceeded`];
      if (tooLong(router.mtu)) return [`${name}: fragmentation needed, mtu ${router.mtu}`];
    }
    if (destination === DEAD) return [];
    if (destination !== NOBODY) return reply(routers.length);
    return routers.length === 0 ? [] : [`${dotted(routers.at(-1)!.address)}: host unreachable`];
  }
});

Deno.test("any bytes from the world: nothing breaks, and each packet either answers a request or is counted", () => {
  const stage = new Stage3();
  const pings = [pingOf({ destination: DEAD }), pingOf({ destination: DEAD, id: 8, size: 1400 })];
  pings.forEach((ping) => stage.exchange(packetsOf(ping)));
  const requests = stage.world.take();
  const id = (request: Uint8Array) => request[24]! << 8 | request[25]!;
  const replies = requests.map((request) =>
    ipv4({ source: DEAD, destination: EXIT }, echo({ type: 0, id: id(request), data: request.subarray(28) }))
  );
  const errors = requests.flatMap((request) =>
    [3, 11, 12].map((type) =>
      ipv4(
        { source: "100.64.1.1", destination: EXIT },
        echo({ type, id: 0, sequence: 0, data: request.subarray(0, 548) }),
      )
    )
  );

  const real = fc.constantFrom(...replies, ...errors, ...requests);
  const bent = fc.tuple(real, fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 3 }), fc.nat(200))
    .map(
      ([packet, changes, cut]) => {
        const bytes = packet.slice(0, cut > 100 ? packet.length : packet.length - cut);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return bytes;
      },
    );
  /** Bent, but with every checksum right: so that it gets past them. */
  const mended = fc.tuple(bent, fc.constantFrom(EXIT, VM)).map(([bytes, destination]) => {
    const message = concat(bytes.subarray(20), new Uint8Array(Math.max(0, 28 - bytes.length)));
    const { buffer } = echo({
      type: message[0]!,
      code: message[1]!,
      id: message[4]! << 8 | message[5]!,
      sequence: 0,
      data: message.subarray(8),
    });
    return ipv4({
      source: dotted(new DataView(concat(bytes, new Uint8Array(20)).buffer).getUint32(12)),
      destination,
      ttl: bytes[8] ?? 0,
    }, new Uint8Array(buffer));
  });
  const noise = fc.uint8Array({ maxLength: 200 });

  let came = 0;
  fc.assert(
    fc.property(fc.oneof(noise, bent, mended), (packet) => {
      const before = {
        out: stage.count("link-out"),
        dropped: total(stage.network.counters.router.snapshot()),
      };
      const heard = stage.fromWorld(packet);
      const dropped = total(stage.network.counters.router.snapshot()) - before.dropped;
      assert.deepEqual([heard.length, dropped].toSorted(), [0, 1], "one of the two");
      assert.equal(stage.count("link-out") - before.out, heard.length);
      came += heard.length;
      for (const each of heard) {
        assert.equal(dotted(each.destination), VM, "for the one who asked");
        if (each.type !== 0) continue;
        assert.equal(dotted(each.source), DEAD);
        assert.ok(
          pings.some(({ id }) => id === (each.payload[4]! << 8 | each.payload[5]!)),
          "one of its identifiers",
        );
      }
    }),
    { numRuns: 5000 },
  );
  assert.ok(came > 100, `only ${came} were real enough to come through`);
  assert.equal(stage.count("exit-in"), 5000);
  assert.equal(stage.ping().length, 1, "and it still works");
});

function total(snapshot: Snapshot): number {
  return drops(snapshot).reduce((sum, [, count]) => sum + count, 0);
}

Deno.test("links that drop, duplicate, reorder and damage: whatever reaches the VM is true, and most of it does", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const faults = { drop: 0.05, duplicate: 0.05, reorder: 0.1, flip: 0.05 };
    const stage = new Stage3({ network: { faults, seed } });
    const random = new Random(seed);
    const sent = new Map<string, Ping>();
    const heard: Heard[] = [];
    for (let sequence = 1; sequence <= 400; sequence++) {
      const destination = random.pick([CSAIL, MIT, DEAD, NOBODY]);
      const ping = pingOf({
        destination,
        sequence,
        ttl: random.pick([1, 2, 3, 64, 64, 64]),
        size: random.below(1400),
      });
      sent.set(`${destination} ${sequence}`, ping);
      heard.push(...stage.exchange(packetsOf(ping), 10));
    }
    const answered = new Set<string>();
    for (const each of heard) {
      const word = (at: number) => each.payload[at]! << 8 | each.payload[at + 1]!;
      const quoted = each.type === 0 ? undefined : readIpv4(padded(each.payload.subarray(8)));
      const key = quoted === undefined
        ? `${dotted(each.source)} ${word(6)}`
        : `${dotted(quoted.destination)} ${word(8 + 20 + 6)}`;
      const ping = sent.get(key);
      assert.ok(ping !== undefined, `${tell(each)} was never asked for`);
      if (quoted === undefined) assertAnswers(each, ping);
      else assertQuotes(each, ping);
      assert.ok(quoted !== undefined || ping.destination !== DEAD, "the dead do not answer");
      answered.add(key);
    }
    assert.ok(answered.size > 200, `${answered.size} of 400 answered`);
    assert.ok(total(stage.dropped()) > 0, "damage was seen");
  }
});

/** A quote as long as its header says the packet was. */
function padded(quote: Uint8Array): Uint8Array {
  const whole = new Uint8Array(quote[2]! << 8 | quote[3]!);
  whole.set(quote.subarray(0, whole.length));
  return whole;
}

Deno.test("long pings over faulty links: a datagram comes through whole and true or not at all", () => {
  const stage = new Stage3({
    network: { faults: { drop: 0.01, duplicate: 0.02, reorder: 0.1, flip: 0.01 }, seed: 3 },
  });
  let answered = 0;
  for (let sequence = 1; sequence <= 100; sequence++) {
    const ping = pingOf({ sequence, size: 8000 });
    for (const packet of packetsOf(ping)) stage.network.tun.inject(packet);
    stage.network.run(1000);
    answered +=
      wholeOf(stage.network.tun.take()).filter((heard) => (assertAnswers(heard, ping), true)).length;
  }
  assert.ok(answered > 50, `${answered} of 100`);

  /** Does as the VM's kernel would: duplicates are no harm, and what lacks a piece or is damaged is not shown. */
  function wholeOf(packets: Uint8Array[]): Heard[] {
    const pieces = [...new Map(packets.map((packet) => [packet.toHex(), packet])).values()];
    try {
      return hear(pieces);
    } catch (error) {
      if (
        error instanceof assert.AssertionError &&
        /a gap or an overlap|more fragments|the ICMP checksum/.test(error.message)
      ) return [];
      throw error;
    }
  }
});

Deno.test("a network without a world is stage 2 as it was: it answers for every host of its block, and refuses nothing", () => {
  const network = new MemoryNetwork({ address: { address: address("10.5.51.2"), prefix: 24 } });
  const ping = pingOf({ source: "10.5.51.2", destination: "10.5.51.3" });
  for (const packet of packetsOf(ping)) network.tun.inject(packet);
  network.tun.inject(ipv4({ protocol: 17 }, pattern(8)));
  network.run();
  const heard = hear(network.tun.take());
  assert.equal(heard.length, 1);
  assertAnswers(heard[0]!, ping);
});
