import assert from "node:assert/strict";
import { HOP_LIMITS } from "../../src/circuit/relay/hop_table.ts";
import type { Role } from "../../src/runtime/packet_thread.ts";
import { PacketThread } from "../../src/runtime/thread.ts";
import { monotonic } from "../../src/sys/clock.ts";
import { UdpSocket } from "../../src/sys/udp.ts";
import type { Event } from "../../src/trace/event_record.ts";
import { event } from "../support/events.ts";
import { address, cell, echo, ipv4, pattern } from "../support/packets.ts";
import { addressFromBits, LOOPBACK } from "../../src/ip/address.ts";

const MODULE = new URL("../../src/runtime/packet_thread.ts", import.meta.url);
/** The router's number, and so the id of its direct circuit. */
const CIRCUIT = 3;

function routerRole(proxyPort: number): Role {
  return {
    kind: "router",
    config: {
      number: CIRCUIT,
      address: addressFromBits(0),
      neighbours: [{ address: LOOPBACK, port: proxyPort, isRouter: false }],
      circuits: "direct",
      carries: ["icmp"],
      mtu: 1500,
      limits: HOP_LIMITS,
    },
    exit: { kind: "echo", block: { address: address("10.5.51.2"), prefix: 24 } },
    keys: undefined,
    device: undefined,
  };
}

/*
 *   test plays the proxy ── UDP on loopback ──► packet thread: a router with an echo exit
 *                        ◄── UDP ──
 */
Deno.test("packet thread: answers pings, counts and logs each, and stops when asked", async () => {
  const proxy = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { port: proxyPort } = proxy.addr as Deno.NetAddr;
  using socket = UdpSocket.bind(LOOPBACK, 1 << 20);
  const router: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: socket.localPort };
  const thread = new PacketThread(MODULE);
  const begun = monotonic();
  const told: Event[] = [];
  let bursts = 0;
  const followed = thread.follow((record, times) => {
    while (times-- > 0) told.push(record.decode());
  }, () => bursts++);
  await thread.start(routerRole(proxyPort), socket.fd.number, [{ address: LOOPBACK, port: proxyPort }]);

  const answers: Uint8Array[] = [];
  for (let sequence = 1; sequence <= 4; sequence++) {
    await proxy.send(cell(0x51, CIRCUIT, ipv4({}, echo({ sequence, data: pattern(56) }))), router);
    const [answer] = await proxy.receive();
    answers.push(answer);
  }
  await thread[Symbol.asyncDispose]();
  await followed;
  proxy.close();

  assert.deepEqual(
    answers,
    [1, 2, 3, 4].map((sequence) =>
      cell(
        0x54,
        CIRCUIT,
        ipv4(
          { source: "10.5.51.7", destination: "10.5.51.2" },
          echo({ type: 0, sequence, data: pattern(56) }),
        ),
      )
    ),
  );
  assert.deepEqual(thread.counters.snapshot(), { "link-in": 4, "link-out": 4 });
  const each = event("icmp-from-port", {
    source: address("10.5.51.2"),
    destination: address("10.5.51.7"),
    type: 8,
    port: proxyPort,
  });
  const times = told.map(({ time }) => time);
  assert.deepEqual(told, times.map((time) => ({ ...each, time })));
  assert.equal(times.length, 4);
  assert.ok([begun, ...times, monotonic()].every((time, at, all) => at === 0 || all[at - 1]! <= time));
  assert.ok(bursts >= 1);
});

Deno.test("packet thread: stops without a start, and more than once", async () => {
  const thread = new PacketThread(MODULE);
  const followed = thread.follow(() => assert.fail("nothing happened"), () => {});
  await thread[Symbol.asyncDispose]();
  await thread[Symbol.asyncDispose]();
  await followed;
});

Deno.test("packet thread: says why it failed, and can then be disposed of", async () => {
  const thread = new PacketThread(MODULE);
  // No descriptor has this number.
  await thread.start(routerRole(1), 0x7fff_ffff, []);
  assert.equal(await thread.failed, "Cannot receive from the data link: recvmsg failed: EBADF");
  await thread[Symbol.asyncDispose]();
});
