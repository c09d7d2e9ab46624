/**
 * Stage 3 in memory: the effects of hops and MTUs on a packet. For the network, see
 * tests/support/stage3.ts.
 */
import assert from "node:assert/strict";
import { address, concat, echo, hex, ipv4 } from "../support/packets.ts";
import { assertQuotes, packetsOf, pingOf } from "../support/ping.ts";
import { CSAIL, DEAD, EXIT, HOP, NOBODY, Stage3, WORLD } from "../support/stage3.ts";

// ── Hops ─────────────────────────────────────────────────────────────────────────────────────────

Deno.test("raw ICMP network: looks like one hop to traceroute", () => {
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
  assert.equal(stage.count("ttl-expired", 1), 1, "from the onion itself");
});

Deno.test("raw ICMP network: keeps ping -t 1 inside the onion", () => {
  const stage = new Stage3();
  for (const ttl of [1, 0]) assert.deepEqual(stage.ping({ ttl }), [`${HOP}: time exceeded`]);
  assert.deepEqual(stage.world.take(), []);
});

Deno.test("raw ICMP network: pings a router of the world, as mtr does", () => {
  assert.deepEqual(new Stage3().ping({ destination: "100.64.1.1" }), [
    "reply from 100.64.1.1: id 7, seq 1, ttl 62",
  ]);
});

Deno.test("raw ICMP network: returns quotes of 8 and of 548 bytes that ping recognises", () => {
  const routers = [{ address: address("192.168.201.1"), longestError: 56 }, {
    address: address("100.64.1.1"),
  }];
  const stage = new Stage3({ world: { routers } });
  assert.deepEqual(stage.ping({ ttl: 2, size: 1400 }), ["192.168.201.1: time exceeded"]);
  assert.deepEqual(stage.ping({ ttl: 3, size: 1400 }), ["100.64.1.1: time exceeded"]);
});

Deno.test("raw ICMP network: returns the extensions after a quote, such as MPLS labels (RFC 4950)", () => {
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

Deno.test("raw ICMP network: returns host unreachable from the last router", () => {
  assert.deepEqual(new Stage3().ping({ destination: NOBODY }), ["100.64.2.1: host unreachable"]);
});

Deno.test("raw ICMP network: drops a reply whose TTL ends at the onion", () => {
  const stage = new Stage3();
  stage.ping({ destination: DEAD });
  const reply = echo({ type: 0, id: stage.externalIdentifier });
  assert.deepEqual(stage.fromWorld(ipv4({ source: DEAD, destination: EXIT, ttl: 1 }, reply)), []);
  assert.equal(stage.count("ttl-expired", 1), 1);
  const [heard] = stage.fromWorld(ipv4({ source: DEAD, destination: EXIT, ttl: 2 }, reply));
  assert.equal(heard!.ttl, 1);
});

// ── Length ───────────────────────────────────────────────────────────────────────────────────────

Deno.test("raw ICMP network: reports the MTU of the exit's link, and returns that of a later one", () => {
  const dontFragment = true;
  const routers = WORLD.routers!.map((router, index) => index === 1 ? { ...router, mtu: 1280 } : router);
  const stage = new Stage3({ world: { mtu: 1400, routers } });
  assert.deepEqual(stage.ping({ size: 1472, dontFragment }), [`${HOP}: fragmentation needed, mtu 1400`]);
  assert.deepEqual(stage.ping({ size: 1373, dontFragment }), [`${HOP}: fragmentation needed, mtu 1400`]);
  assert.deepEqual(stage.world.take(), [], "nothing has left");
  assert.equal(stage.count("too-long", 1), 2);
  assert.deepEqual(stage.ping({ size: 1372, dontFragment }), ["100.64.1.1: fragmentation needed, mtu 1280"]);
  assert.deepEqual(stage.ping({ size: 1252, dontFragment }), [`reply from ${CSAIL}: id 7, seq 1, ttl 60`]);
  assert.deepEqual(
    stage.ping({ size: 1472 }),
    [`reply from ${CSAIL}: id 7, seq 1, ttl 60`],
    "fragments get through",
  );
});

Deno.test("raw ICMP network: reassembles ping -s 20000 at the router, and returns fragments", () => {
  for (const mtu of [1500, 1400, 576, 68]) {
    const stage = new Stage3({ network: { mtu } });
    assert.deepEqual(
      stage.ping({ size: 20_000 }),
      [`reply from ${CSAIL}: id 7, seq 1, ttl 60`],
      `MTU ${mtu}`,
    );
    assert.deepEqual(stage.world.take().map((packet) => packet.length), [20_028]);
    assert.equal(stage.lines.routers[0]!.length, 2, "one packet each way");
  }
});

Deno.test("raw ICMP network: carries the longest ping", () => {
  assert.equal(new Stage3().ping({ size: 65_507 }).length, 1);
});

Deno.test("raw ICMP network: reports time exceeded for a long ping once", () => {
  const stage = new Stage3();
  assert.deepEqual(stage.ping({ size: 20_000, ttl: 1 }), [`${HOP}: time exceeded`]);
  assert.deepEqual(stage.ping({ size: 20_000, ttl: 2 }), ["192.168.201.1: time exceeded"]);
});

Deno.test("raw ICMP network: drops incomplete datagrams inside", () => {
  const stage = new Stage3();
  const fragments = packetsOf(pingOf({ size: 4000 }));
  assert.deepEqual(stage.exchange(fragments.slice(1)), []);
  assert.deepEqual(stage.listen(30_000), []);
  assert.equal(stage.count("reassembly-timeout", 1), 1);
  assert.deepEqual(stage.exchange(fragments.slice(0, 1)), [], "too late");
  assert.deepEqual(stage.world.take(), []);
});
