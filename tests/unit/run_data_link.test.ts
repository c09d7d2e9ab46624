import assert from "node:assert/strict";
import { explainLoopback, sourceOnLoopback } from "../../src/host/loopback.ts";
import { LOOPBACK } from "../../src/ip/address.ts";
import { greetAll, silentNeighbours } from "../../src/run/data_link.ts";
import { UdpSocket } from "../../src/sys/udp.ts";
import { address } from "../support/packets.ts";

/** Sockets of a network's members, and their endpoints. */
function members(count: number) {
  const stack = new DisposableStack();
  const sockets = Array.from({ length: count }, () => stack.use(UdpSocket.bindLoopback(1 << 16)));
  const links = sockets.map(({ localPort: port }) => ({ address: LOOPBACK, port }));
  return { sockets, links, [Symbol.dispose]: () => stack.dispose() };
}

Deno.test("data link: neighbours that greet each other are heard at once", async () => {
  using network = members(3);
  const { sockets, links } = network;
  const othersOf = (index: number) => links.filter((_, other) => other !== index);
  sockets.forEach((socket, index) => greetAll(socket, othersOf(index)));
  for (const [index, socket] of sockets.entries()) {
    assert.deepEqual(await silentNeighbours(socket, othersOf(index), 0), []);
  }
});

Deno.test("data link: names the neighbours that stay silent, whatever strangers send", async () => {
  using network = members(4);
  const [proxy, first, , stranger] = network.sockets as [UdpSocket, UdpSocket, UdpSocket, UdpSocket];
  const [own, ...routers] = network.links;
  first.greet(own!);
  stranger.greet(own!);
  assert.deepEqual(await silentNeighbours(proxy, routers.slice(0, 2), 20), [1]);
});

Deno.test("data link: waits for a greeting that comes later", async () => {
  using network = members(2);
  const [proxy, router] = network.sockets as [UdpSocket, UdpSocket];
  const waiting = silentNeighbours(proxy, [network.links[1]!], 5000);
  router.greet(network.links[0]!);
  assert.deepEqual(await waiting, []);
});

Deno.test("loopback: a datagram arrives as it was sent, or the reason is named", async () => {
  assert.equal(await sourceOnLoopback(), LOOPBACK);
  assert.match(explainLoopback(undefined).why, /drops datagrams on loopback/);
  assert.match(explainLoopback(LOOPBACK).why, /drops its datagrams/);
  assert.match(explainLoopback(address("10.0.2.15")).why, /changes the source .* to 10\.0\.2\.15$/);
});
