/**
 * The classic log files of stage 2, which people compare with course material.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventLine, proxyLine, routerLine } from "../../src/log/classic.ts";
import { EventRing, ringBytes } from "../../src/trace/event_ring.ts";
import { echo, ipv4, pattern } from "../support/packets.ts";
import { exchange, makeNetwork } from "../support/network.ts";
import { drainEvents } from "../support/events.ts";

/** A network whose parties write to event rings, as packet threads do. */
function makeLoggedNetwork(records = 1024) {
  const lost = { proxy: 0, router: 0 };
  const events = {
    proxy: new EventRing(new SharedArrayBuffer(ringBytes(records)), { lost: () => lost.proxy++ }),
    router: new EventRing(new SharedArrayBuffer(ringBytes(records)), { lost: () => lost.router++ }),
  };
  const network = makeNetwork({ events: { proxy: events.proxy, routers: [events.router] } });
  const linesOf = (ring: EventRing) => {
    const lines: string[] = [];
    drainEvents(ring, (event) => lines.push(eventLine(event)));
    return lines;
  };
  return {
    network,
    lost,
    proxyLines: () => linesOf(events.proxy),
    routerLines: () => linesOf(events.router),
  };
}

Deno.test("echo network: writes both classic logs for ping -c 4", () => {
  const { network, proxyLines, routerLines } = makeLoggedNetwork();
  const { proxy, router } = network.ports;
  for (let sequence = 1; sequence <= 4; sequence++) {
    const request = ipv4({ destination: "10.5.51.3" }, echo({ sequence, data: pattern(56) }));
    assert.equal(exchange(network, request).length, 1);
  }
  const pair = [
    "ICMP from tunnel, src: 10.5.51.2, dst: 10.5.51.3, type: 8",
    "ICMP from port: 40001, src: 10.5.51.3, dst: 10.5.51.2, type: 0",
  ];
  assert.deepEqual([proxyLine(proxy), routerLine(1, 4711, router), ...proxyLines()], [
    "proxy port: 40000",
    "router: 1, pid: 4711, port: 40001",
    ...pair,
    ...pair,
    ...pair,
    ...pair,
  ]);
  const asked = "ICMP from port: 40000, src: 10.5.51.2, dst: 10.5.51.3, type: 8";
  assert.deepEqual([routerLine(1, 4711, router), ...routerLines()], [
    "router: 1, pid: 4711, port: 40001",
    asked,
    asked,
    asked,
    asked,
  ]);
});

Deno.test("echo network: logs a fragmented ping in one line at the router", () => {
  const { network, proxyLines, routerLines } = makeLoggedNetwork();
  const first = ipv4({ moreFragments: true }, echo({ data: pattern(16) }).subarray(0, 16));
  const last = ipv4({ offset: 16 }, echo({ data: pattern(16) }).subarray(16));
  assert.equal(exchange(network, first, last).length, 1);
  assert.equal(proxyLines().length, 2);
  assert.equal(routerLines().length, 1);
});

Deno.test("echo network: logs unknown circuits, and no other drops", () => {
  const { network, proxyLines, routerLines } = makeLoggedNetwork();
  exchange(network, ipv4({}, echo({ checksum: 1 })), ipv4({ protocol: 17 }, pattern(8)), pattern(50));
  assert.deepEqual([proxyLines(), routerLines()], [[], []]);
  network.medium.carry(
    network.ports.proxy,
    network.ports.router,
    Uint8Array.of(0x51, 0, 0, 0, 0, 0, 0, 0xab),
  );
  network.run();
  assert.deepEqual(routerLines(), ["unknown incoming circuit: 0xab, src: 0.0.0.0, dst: 0.0.0.0"]);
});

Deno.test("echo network: loses log lines in a flood, but no packets, and counts them", () => {
  const { network, lost, proxyLines, routerLines } = makeLoggedNetwork(64);
  const count = 1000;
  const requests = Array.from(
    { length: count },
    (_, sequence) => ipv4({ destination: `10.5.51.${3 + sequence % 2}` }, echo({ sequence })),
  );
  assert.equal(exchange(network, ...requests).length, count);
  assert.equal(proxyLines().length + lost.proxy, 2 * count);
  assert.equal(routerLines().length + lost.router, count);
  assert.ok(lost.proxy > 0 && lost.router > 0);
});
