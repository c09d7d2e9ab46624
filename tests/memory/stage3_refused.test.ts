/**
 * Stage 3 in memory: packets that are not carried out, and packets that are not let in. For the
 * network, see tests/support/stage3.ts.
 */
import assert from "node:assert/strict";
import type { DropReason } from "../../src/trace/counters.ts";
import { dropped } from "../support/network.ts";
import { cell, concat, echo, hex, ipv4, pattern } from "../support/packets.ts";
import { dotted, tell } from "../support/ping.ts";
import { CSAIL, DEAD, EXIT, HOP, Stage3, VM } from "../support/stage3.ts";

// ── What is not carried ──────────────────────────────────────────────────────────────────────────

Deno.test("raw ICMP network: refuses and counts what no exit carries", () => {
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
    assert.deepEqual(dropped(stage.network), { [reason]: 1 }, name);
    assert.deepEqual(stage.world.take(), [], name);
  }
});

Deno.test("raw ICMP network: counts drops silently where RFC 1122 §3.2.2 forbids an error", () => {
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
    assert.deepEqual(dropped(stage.network), { [reason]: 1 }, name);
    assert.deepEqual(stage.world.take(), [], name);
  }
});

Deno.test("raw ICMP network: a router repeats the checks of the proxy", () => {
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

Deno.test("raw ICMP network: says what the kernel refuses, and sends the next packet", () => {
  const stage = new Stage3();
  stage.world.isUp = false;
  assert.deepEqual(stage.ping(), [`${HOP}: net unreachable`]);
  assert.equal(stage.count("exit-refused", 1), 1);
  stage.world.isUp = true;
  assert.equal(stage.ping().length, 1);
});

// ── What the world sends unasked ─────────────────────────────────────────────────────────────────

Deno.test("raw ICMP network: accepts only answers to its own requests from the world", () => {
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
    const before = stage.count(reason, 1);
    assert.deepEqual(stage.fromWorld(packet), [], name);
    assert.equal(stage.count(reason, 1), before + 1, name);
  }
  assert.equal(stage.count("tun-out"), 0, "nothing has reached the VM");

  // Now the genuine replies.
  assert.deepEqual(stage.fromWorld(from(DEAD, reply)).map(tell), [`reply from ${DEAD}: id 7, seq 1, ttl 63`]);
  assert.deepEqual(stage.fromWorld(error(request)).map(tell), ["100.64.1.1: time exceeded"]);
  assert.deepEqual(stage.fromWorld(error(request.subarray(0, 28))).map(tell), ["100.64.1.1: time exceeded"]);
});

Deno.test("raw ICMP network: returns both of two replies to one request", () => {
  const stage = new Stage3();
  stage.ping({ destination: DEAD });
  const reply = ipv4({ source: DEAD, destination: EXIT }, echo({ type: 0, id: stage.externalIdentifier }));
  assert.equal(stage.fromWorld(reply, reply).length, 2);
});
