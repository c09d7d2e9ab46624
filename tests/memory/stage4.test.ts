/**
 * Stage 4 as a whole, in memory: several routers, each with its own world, chosen by the
 * destination.
 *
 * @module
 */
import assert from "node:assert/strict";
import { addressNumber, cell, ipv4, readIpv4 } from "../support/packets.ts";
import { exitOf, HOP, Onion, PROXY, VM } from "../support/circuits.ts";
import { dotted, packetsOf, pingOf } from "../support/ping.ts";

/** The sample of the course: as numbers modulo 4, the addresses are 2, 3 and 0. */
const SAMPLE = [["128.30.2.102", 3], ["128.30.2.103", 4], ["128.30.2.104", 1]] as const;

Deno.test("stage 4: the classic sample uses routers 3, 4 and 1, and not 2", () => {
  const onion = new Onion();
  for (const [destination, router] of SAMPLE) {
    assert.deepEqual(onion.ping({ destination }), [`reply from ${destination}: id 7, seq 1, ttl 60`]);
    const sent = onion.left().map((packets) => packets.map((packet) => dotted(readIpv4(packet).destination)));
    assert.deepEqual(sent, [1, 2, 3, 4].map((number) => number === router ? [destination] : []));
  }
  assert.deepEqual(onion.network.counters.routers[1]!.snapshot(), {});
  assert.deepEqual(onion.lines.routers[1], []);
  assert.deepEqual(onion.dropped(), []);
});

Deno.test("stage 4: writes the classic logs of the classic sample", () => {
  const onion = new Onion();
  for (const [destination] of SAMPLE) onion.ping({ destination });
  assert.deepEqual(
    onion.lines.proxy,
    SAMPLE.flatMap(([destination, router]) => [
      `ICMP from tunnel, src: ${VM}, dst: ${destination}, type: 8`,
      `ICMP from port: ${PROXY + router}, src: ${destination}, dst: ${VM}, type: 0`,
    ]),
  );
  for (const [destination, router] of SAMPLE) {
    assert.deepEqual(onion.lines.routers[router - 1], [
      `ICMP from port: ${PROXY}, src: ${VM}, dst: ${destination}, type: 8`,
      `ICMP from raw sock, src: ${destination}, dst: ${exitOf(router)}, type: 0`,
    ]);
  }
});

Deno.test("stage 4: sends a destination to the same router every time", () => {
  const onion = new Onion({ routers: 6 });
  for (let round = 0; round < 3; round++) {
    for (let host = 1; host <= 60; host++) {
      const destination = `18.9.22.${host}`;
      onion.assertWorks({ destination, source: `10.0.2.${15 + round}`, sequence: round });
      const by = onion.left().flatMap((packets, index) => packets.map(() => index));
      assert.deepEqual(by, [addressNumber(destination) % 6], destination);
    }
  }
  assert.deepEqual(onion.dropped(), []);
});

Deno.test("stage 4: sends a router's own address to that router, which answers", () => {
  for (const routers of [1, 2, 3, 4, 5, 6]) {
    const onion = new Onion({ routers });
    for (let number = 1; number <= routers; number++) {
      assert.deepEqual(onion.ping({ destination: exitOf(number), sequence: number }), [
        `reply from ${exitOf(number)}: id 7, seq ${number}, ttl 64`,
      ]);
      assert.equal(onion.count("link-in", number), 1, "only this router was asked");
    }
    assert.deepEqual(onion.left().flat(), [], "nothing has left");
    assert.deepEqual(onion.dropped(), []);
  }
});

Deno.test("stage 4: looks like one hop to traceroute", () => {
  for (const [destination, router] of SAMPLE) {
    const onion = new Onion();
    const hops = [1, 2, 3, 4, 5].map((ttl) => onion.ping({ destination, ttl, sequence: ttl })[0]);
    assert.deepEqual(hops, [
      `${HOP}: time exceeded`,
      `192.168.20${router}.1: time exceeded`,
      "100.64.1.1: time exceeded",
      "100.64.2.1: time exceeded",
      `reply from ${destination}: id 7, seq 5, ttl 60`,
    ]);
  }
});

Deno.test("stage 4: accepts a circuit's cells from its own router only", () => {
  const onion = new Onion();
  const ping = packetsOf(pingOf({ destination: "128.30.2.102" }))[0]!;
  onion.watch();
  onion.exchange([ping]);
  const [out, back] = onion.crossed();
  assert.deepEqual(out!.bytes, cell(0x51, 3, ping), "circuit 3 leads to router 3");
  const drops = onion.dropsIn(() => {
    assert.deepEqual(onion.arrive(PROXY, PROXY + 1, out!.bytes), [], "unknown to router 1");
    assert.deepEqual(onion.arrive(PROXY + 1, PROXY, back!.bytes), [], "no reply from router 1");
    assert.deepEqual(onion.arrive(PROXY + 2, PROXY + 3, out!.bytes), [], "no request from router 2");
    assert.deepEqual(
      onion.arrive(PROXY, PROXY + 3, cell(0x52, 9, new Uint8Array())),
      [],
      "no circuit is created",
    );
  });
  assert.deepEqual(drops, [[0, "unknown-circuit", 1], [1, "unknown-circuit", 1], [3, "unknown-circuit", 2]]);
  assert.equal(onion.left().flat().length, 1);
});

Deno.test("stage 4: keeps working when the worlds of other routers are down or silent", () => {
  const onion = new Onion();
  onion.worlds[2]!.isUp = false;
  assert.deepEqual(onion.ping({ destination: "128.30.2.102" }), [`${HOP}: net unreachable`]);
  assert.deepEqual(onion.ping({ destination: "128.30.2.103" }), [
    "reply from 128.30.2.103: id 7, seq 1, ttl 60",
  ]);
  assert.deepEqual(onion.dropped(), [[3, "exit-refused", 1]]);
});

Deno.test("stage 4: refuses anything but pings before a router sees it", () => {
  const onion = new Onion();
  const udp = ipv4({ source: VM, destination: "128.30.2.102", protocol: 17 }, new Uint8Array(12));
  const [heard] = onion.exchange([udp]);
  assert.equal(dotted(heard!.source), HOP);
  assert.deepEqual([heard!.type, heard!.code], [3, 13]);
  assert.deepEqual(onion.network.counters.routers.map((counters) => counters.snapshot()), [{}, {}, {}, {}]);
});
