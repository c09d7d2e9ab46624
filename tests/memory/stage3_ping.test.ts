/**
 * Stage 3 in memory: pings to hosts of the world and to the router itself. For the network, see
 * tests/support/stage3.ts.
 */
import assert from "node:assert/strict";
import { dropped } from "../support/network.ts";
import { MemoryNetwork } from "../../src/sim/network.ts";
import { address, concat, echo, hex, ipv4, pattern, readIpv4 } from "../support/packets.ts";
import { assertAnswers, dotted, hear, messageOf, packetsOf, pingOf } from "../support/ping.ts";
import { CSAIL, EXIT, HOP, Stage3, VM } from "../support/stage3.ts";

// ── Out and back ─────────────────────────────────────────────────────────────────────────────────

Deno.test("raw ICMP network: returns the world's reply, with its TTL minus one hop", () => {
  const stage = new Stage3();
  // 64 from the host, minus three routers, minus the onion.
  assert.deepEqual(stage.ping(), [`reply from ${CSAIL}: id 7, seq 1, ttl 60`]);
  const sent = readIpv4(stage.world.take()[0]!);
  assert.equal(dotted(sent.source), EXIT);
  assert.equal(dotted(sent.destination), CSAIL);
  assert.equal(sent.ttl, 63, "one less on the way out");
  assert.notDeepEqual(sent.payload, messageOf(pingOf()), "with another identifier");
  assert.deepEqual(
    sent.payload.subarray(6),
    messageOf(pingOf()).subarray(6),
    "sequence number and data are unchanged",
  );
  assert.deepEqual(dropped(stage.network), {});
});

Deno.test("raw ICMP network: writes the classic log for ping -c 4", () => {
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
    stage.lines.routers[0],
    Array(4).fill([
      `ICMP from port: 40000, src: ${VM}, dst: ${CSAIL}, type: 8`,
      `ICMP from raw sock, src: ${CSAIL}, dst: ${EXIT}, type: 0`, // as it came, not yet translated
    ]).flat(),
  );
});

Deno.test("raw ICMP network: logs the sender of an ICMP error, and nothing of what is not ours", () => {
  const stage = new Stage3();
  stage.ping({ ttl: 3 });
  assert.equal(stage.lines.routers[0]![1], `ICMP from raw sock, src: 100.64.1.1, dst: ${EXIT}, type: 11`);
  assert.equal(stage.lines.proxy[1], `ICMP from port: 40001, src: 100.64.1.1, dst: ${VM}, type: 11`);
  stage.fromWorld(ipv4({ source: CSAIL, destination: EXIT }, echo({ type: 0, id: 1 })));
  assert.equal(stage.lines.routers[0]!.length, 2);
});

Deno.test("raw ICMP network: keeps type of service, don't-fragment and TTL", () => {
  const stage = new Stage3();
  for (
    const fields of [{ tos: 0xb8, dontFragment: true, ttl: 255 }, { tos: 0, dontFragment: false, ttl: 5 }]
  ) {
    assert.equal(stage.ping(fields).length, 1);
    const { tos, dontFragment, ttl } = readIpv4(stage.world.take()[0]!);
    assert.deepEqual({ tos, dontFragment, ttl: ttl + 1 }, fields);
  }
});

Deno.test("raw ICMP network: removes header options at the exit, and still returns the reply", () => {
  const stage = new Stage3();
  const options = concat(hex("07 27 04"), new Uint8Array(37)); // ping -R: record the route, nine hops of it
  assert.equal(stage.ping({ options }).length, 1);
  assert.equal(stage.world.take()[0]![0], 0x45);
});

// ── The router itself ────────────────────────────────────────────────────────────────────────────

Deno.test("raw ICMP network: answers a ping to the router's own addresses once", () => {
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

Deno.test("raw ICMP network: leaves pings from the world to the kernel", () => {
  const stage = new Stage3();
  assert.deepEqual(stage.fromWorld(ipv4({ source: CSAIL, destination: EXIT }, echo())), []);
  assert.equal(stage.count("not-ours", 1), 1);
});

Deno.test("echo network: answers for the whole block without a world, and refuses nothing", () => {
  const network = new MemoryNetwork({ address: { address: address("10.5.51.2"), prefix: 24 } });
  const ping = pingOf({ source: "10.5.51.2", destination: "10.5.51.3" });
  for (const packet of packetsOf(ping)) network.tun.inject(packet);
  network.tun.inject(ipv4({ protocol: 17 }, pattern(8)));
  network.run();
  const heard = hear(network.tun.take());
  assert.equal(heard.length, 1);
  assertAnswers(heard[0]!, ping);
});
