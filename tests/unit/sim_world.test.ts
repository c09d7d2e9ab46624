/**
 * The world in memory. The test plays the exit.
 *
 * ```
 *   192.168.201.2 ──1500── 192.168.201.1 ──1400── 100.64.1.1 ──1280── 100.64.2.1 ── hosts
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import { MemoryWorld, type MemoryWorldOptions } from "../../src/sim/world.ts";
import { address, cutPlainly, echo, ipv4, pattern, poisoned, readIpv4 } from "../support/packets.ts";
import { assertAnswers, assertQuotes, hear, messageOf, type Ping, pingOf, tell } from "../support/ping.ts";

const EXIT = "192.168.201.2";
const OPTIONS: MemoryWorldOptions = {
  address: address(EXIT),
  routers: [
    { address: address("192.168.201.1"), mtu: 1400 },
    { address: address("100.64.1.1"), mtu: 1280, longestError: 56 },
    { address: address("100.64.2.1") },
  ],
  host: (host) =>
    host === address("18.9.22.70") ? "silent" : host === address("18.9.22.71") ? "unreachable" : "answers",
};

function exitInto(options: Partial<MemoryWorldOptions> = {}) {
  const world = new MemoryWorld({ ...OPTIONS, ...options });
  const send = (ping: Ping, message: Uint8Array = messageOf(ping)) =>
    world.send(poisoned(message), 128, {
      destination: address(ping.destination),
      ttl: ping.ttl,
      typeOfService: ping.tos,
      dontFragment: ping.dontFragment,
    });
  const receive = () => {
    const received = [];
    for (const into = poisoned(); world.receive(into);) received.push(into.copy());
    return hear(received, 65_535);
  };
  /** Sends as the exit and returns the answers, after checking that they are about the request. */
  const ping = (ping: Partial<Ping>) => {
    const sent = pingOf({ source: EXIT, ...ping });
    assert.equal(send(sent), "sent");
    return receive().map((heard) => {
      if (heard.type === 0) assertAnswers(heard, sent);
      else assertQuotes(heard, sent);
      return tell(heard);
    });
  };
  return { world, send, receive, ping };
}

Deno.test("world: a host answers with TTL 64, less the routers on the way", () => {
  assert.deepEqual(exitInto().ping({}), ["reply from 128.30.2.155: id 7, seq 1, ttl 61"]);
  assert.deepEqual(exitInto({ routers: [] }).ping({}), ["reply from 128.30.2.155: id 7, seq 1, ttl 64"]);
});

Deno.test("world: a router answers pings to itself and sends Time Exceeded", () => {
  const { ping } = exitInto();
  assert.deepEqual(ping({ destination: "100.64.1.1", ttl: 2 }), [
    "reply from 100.64.1.1: id 7, seq 1, ttl 63",
  ]);
  for (const [ttl, from] of [[1, "192.168.201.1"], [2, "100.64.1.1"], [3, "100.64.2.1"]] as const) {
    assert.deepEqual(ping({ ttl }), [`${from}: time exceeded`]);
  }
  assert.deepEqual(ping({ ttl: 4 }), ["reply from 128.30.2.155: id 7, seq 1, ttl 61"]);
});

Deno.test("world: a silent host says nothing, and the last router reports an unreachable one", () => {
  assert.deepEqual(exitInto().ping({ destination: "18.9.22.70" }), []);
  assert.deepEqual(exitInto().ping({ destination: "18.9.22.71" }), ["100.64.2.1: host unreachable"]);
  assert.deepEqual(exitInto({ routers: [] }).ping({ destination: "18.9.22.71" }), []);
});

Deno.test("world: an error quotes the packet as the router had it", () => {
  const { send, receive } = exitInto();
  const cases: [name: string, ping: Partial<Ping>, ttl: number][] = [
    ["over at the first router", { ttl: 1 }, 1],
    ["over at the second, one less on each way before it", { ttl: 2 }, 1],
    ["over at the third", { ttl: 3 }, 1],
    ["too long for the link behind the second", { ttl: 9, size: 1300, dontFragment: true }, 8],
    [
      "the third has passed it on by the time it finds nobody there",
      { ttl: 9, destination: "18.9.22.71" },
      6,
    ],
  ];
  for (const [name, ping, ttl] of cases) {
    send(pingOf({ source: EXIT, ...ping }));
    const quote = receive()[0]!.payload.subarray(8);
    const whole = new Uint8Array(quote[2]! << 8 | quote[3]!);
    whole.set(quote);
    assert.equal(readIpv4(whole).ttl, ttl, name); // readIpv4 asserts the header checksum
  }
});

Deno.test("world: a router can quote the minimum of RFC 792", () => {
  const { send, receive } = exitInto();
  send(pingOf({ source: EXIT, ttl: 2 }));
  assert.equal(receive()[0]!.payload.length, 8 + 20 + 8);
  send(pingOf({ source: EXIT, ttl: 3 }));
  assert.equal(receive()[0]!.payload.length, 8 + 20 + 8 + 56);
});

Deno.test("world: don't-fragment packets are refused by the first link, or reported by a router", () => {
  const { send, ping } = exitInto();
  const dontFragment = true;
  assert.equal(send(pingOf({ size: 1473, dontFragment })), "too-long");
  assert.deepEqual(ping({ size: 1472, dontFragment }), ["192.168.201.1: fragmentation needed, mtu 1400"]);
  assert.deepEqual(ping({ size: 1372, dontFragment }), ["100.64.1.1: fragmentation needed, mtu 1280"]);
  assert.deepEqual(ping({ size: 1252, dontFragment }), ["reply from 128.30.2.155: id 7, seq 1, ttl 61"]);
  assert.deepEqual(
    ping({ size: 1372, dontFragment, ttl: 2 }),
    ["100.64.1.1: time exceeded"],
    "time comes first",
  );
});

Deno.test("world: fragmentable packets of any length arrive, and errors quote the first fragment", () => {
  const { ping, send, receive } = exitInto();
  assert.deepEqual(ping({ size: 65_507 }), ["reply from 128.30.2.155: id 7, seq 1, ttl 61"]);
  assert.deepEqual(ping({ size: 2000, ttl: 3 }), ["100.64.2.1: time exceeded"]);
  send(pingOf({ source: EXIT, size: 2000, ttl: 3 }));
  const quote = receive()[0]!.payload.subarray(8);
  const first = cutPlainly({}, messageOf(pingOf({ size: 2000 })), 1256)[0]!;
  assert.deepEqual(quote.subarray(2, 4), first.subarray(2, 4), "its length is that of a link of 1280 bytes");
  assert.equal(quote[6], 0x20, "more fragments follow");
});

Deno.test("world: take returns each packet once, as it left the exit", () => {
  const { world, send } = exitInto();
  const ping = pingOf({ source: EXIT, tos: 0x28, ttl: 9, dontFragment: true });
  send(ping);
  send({ ...ping, sequence: 2 });
  const seen = world.take().map(readIpv4);
  assert.deepEqual(seen.map(({ payload }) => payload), [
    messageOf(ping),
    messageOf({ ...ping, sequence: 2 }),
  ]);
  for (const { source, destination, tos, ttl, dontFragment, protocol } of seen) {
    assert.deepEqual(
      { source, destination, tos, ttl, dontFragment, protocol },
      {
        source: address(EXIT),
        destination: address(ping.destination),
        tos: 0x28,
        ttl: 9,
        dontFragment: true,
        protocol: 1,
      },
    );
  }
  assert.notEqual(seen[0]!.id, seen[1]!.id, "numbered by the kernel");
  assert.deepEqual(world.take(), []);
});

Deno.test("world: only valid echo requests are answered", () => {
  const { send, receive } = exitInto();
  const cases: [name: string, message: Uint8Array][] = [
    ["a reply", echo({ type: 0 })],
    ["a timestamp", echo({ type: 13, data: pattern(12) })],
    ["a wrong checksum", echo({ checksum: 0x1234 })],
    ["half a header", echo().subarray(0, 4)],
  ];
  for (const [name, message] of cases) {
    assert.equal(send(pingOf(), message), "sent");
    assert.deepEqual(receive(), [], name);
  }
});

Deno.test("world: refuses everything while the interface is down", () => {
  const { world, send, receive, ping } = exitInto();
  world.isUp = false;
  assert.equal(send(pingOf()), "no-network");
  assert.deepEqual([world.take(), receive()], [[], []]);
  world.isUp = true;
  assert.equal(ping({}).length, 1);
});

Deno.test("world: injected bytes arrive unchanged and in order", () => {
  const { world, send } = exitInto();
  send(pingOf());
  const packet = ipv4({}, pattern(5));
  world.inject(packet);
  world.inject(new Uint8Array());
  const kept = packet.slice();
  packet.fill(0);
  const into = poisoned();
  assert.ok(world.receive(into));
  assert.ok(world.receive(into));
  assert.deepEqual(into.copy(), kept);
  assert.ok(world.receive(into));
  assert.equal(into.length, 0);
  assert.ok(!world.receive(into));
});
