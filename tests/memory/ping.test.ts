/**
 * Ping over a whole network in one process:
 *
 * ```
 *   test plays the host 10.5.51.2 ── TUN ──► proxy ──► router, which is every other host of 10.5.51.0/24
 *                                 ◄── TUN ─── proxy ◄── router
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  address,
  concat,
  cutPlainly,
  echo,
  hex,
  ipv4,
  joinPlainly,
  pattern,
  readIpv4,
} from "../support/packets.ts";
import { assertDropped, exchange, hostReceives, makeNetwork } from "../support/network.ts";
import { Random } from "../support/random.ts";
import { addressFromBits, formatIp } from "../../src/ip/address.ts";

const HOST = "10.5.51.2";
const PEER = "10.5.51.7";

/** A port of no party. */
const STRANGER = 9999;

Deno.test("echo network: answers for every address of the block but its own, the first and the last", () => {
  const network = makeNetwork();
  const answering: number[] = [];
  for (let last = 0; last < 256; last++) {
    const destination = `10.5.51.${last}`;
    const answers = exchange(network, ipv4({ destination, id: last }, echo({ sequence: last })));
    if (answers.length === 0) continue;
    const want = ipv4(
      { source: destination, destination: HOST, id: last },
      echo({ type: 0, sequence: last }),
    );
    assert.deepEqual(answers, [want], destination);
    answering.push(last);
  }
  assert.deepEqual(
    answering,
    Array.from({ length: 256 }, (_, last) => last).filter((last) => ![0, 2, 255].includes(last)),
  );
  assertDropped(network, { "bad-destination": 3 });
  assert.deepEqual(network.counters.proxy.snapshot(), {
    "tun-in": 256,
    "tun-out": 253,
    "link-in": 253,
    "link-out": 256,
  });
});

Deno.test("echo network: counts pings outside the block, and does not answer", () => {
  const outside = [
    "10.5.50.255",
    "10.5.52.0",
    "8.8.8.8",
    "128.0.0.1",
    "255.255.255.255",
    "224.0.0.1",
    "0.0.0.0",
    "127.0.0.1",
  ];
  const network = makeNetwork();
  for (const destination of outside) {
    assert.deepEqual(exchange(network, ipv4({ destination }, echo())), [], destination);
  }
  assertDropped(network, { "bad-destination": outside.length });
});

Deno.test("echo network: answers the longest ping, fragmented both ways", () => {
  const network = makeNetwork();
  const data = pattern(65_507);
  const answers = exchange(network, ...cutPlainly({ id: 9 }, echo({ data }), 1480));
  assert.equal(answers.length, 45);
  for (const answer of answers) assert.ok(answer.length <= 1500);
  assert.deepEqual(joinPlainly(answers), echo({ type: 0, data }));
  assertDropped(network, {});
  assert.deepEqual(network.counters.router.snapshot(), { "link-in": 45, "link-out": 45 });
});

Deno.test("echo network: answers any size over any MTU, with fragments reordered and repeated", () => {
  const size = fc.oneof(fc.nat(200), fc.nat(3000), fc.constant(65_507));
  fc.assert(
    fc.property(size, fc.integer({ min: 68, max: 9000 }), fc.integer(), (length, mtu, seed) => {
      const network = makeNetwork({ mtu });
      const random = new Random(seed);
      const data = pattern(length, seed);
      const fragments = cutPlainly({ id: seed & 0xffff }, echo({ data }), (mtu - 20) & ~7);
      const [last, ...others] = random.shuffle(fragments);
      const twice = others.filter(() => random.oneIn(4));
      const answers = exchange(network, ...random.shuffle([...others, ...twice]), last!);
      for (const answer of answers) assert.ok(answer.length <= mtu, `${answer.length} bytes over ${mtu}`);
      assert.deepEqual(joinPlainly(answers), echo({ type: 0, data }));
      for (const answer of answers) assert.equal(readIpv4(answer).id, seed & 0xffff);
      assertDropped(network, {});
    }),
    { numRuns: 60 },
  );
});

Deno.test("echo network: replies with the request's type of service and identification, a new TTL, and no options", () => {
  const network = makeNetwork();
  const recordRoute = concat(hex("07 27 04"), new Uint8Array(36), hex("00"));
  const [answer] = exchange(
    network,
    ipv4(
      { tos: 0x2e, id: 0xbeef, ttl: 1, dontFragment: true, options: recordRoute },
      echo({ data: pattern(56) }),
    ),
  );
  assert.deepEqual(
    answer,
    ipv4(
      { tos: 0x2e, id: 0xbeef, ttl: 64, source: PEER, destination: HOST },
      echo({ type: 0, data: pattern(56) }),
    ),
  );
});

Deno.test("echo network: answers a request of zeros with a correct checksum", () => {
  const [answer] = exchange(makeNetwork(), ipv4({}, echo({ id: 0, sequence: 0, data: new Uint8Array(56) })));
  assert.deepEqual(
    readIpv4(answer!).payload,
    echo({ type: 0, id: 0, sequence: 0, data: new Uint8Array(56) }),
  );
});

Deno.test("echo network: counts damaged requests by reason, and does not answer", () => {
  const cases: [what: string, packet: Uint8Array, reason: string][] = [
    ["a wrong header checksum", ipv4({ checksum: 0xdead }, echo()), "header-checksum"],
    ["a wrong ICMP checksum", ipv4({}, echo({ checksum: 0xdead })), "icmp-checksum"],
    ["cut short", ipv4({}, echo({ data: pattern(56) })).subarray(0, -1), "bad-length"],
    ["UDP", ipv4({ protocol: 17 }, pattern(20)), "not-carried"],
    ["an answer", ipv4({}, echo({ type: 0 })), "not-echo-request"],
  ];
  for (const [what, packet, reason] of cases) {
    const network = makeNetwork();
    assert.deepEqual(exchange(network, packet), [], what);
    assertDropped(network, { [reason]: 1 }, what);
  }
});

Deno.test("echo network: detects damage that shows only after reassembly", () => {
  const network = makeNetwork();
  const message = echo({ data: pattern(3000), checksum: 0xdead });
  assert.deepEqual(exchange(network, ...cutPlainly({}, message, 1480)), []);
  assertDropped(network, { "icmp-checksum": 1 });
});

Deno.test("echo network: answers ten thousand waiting requests once and in order", () => {
  const network = makeNetwork();
  const requests = Array.from(
    { length: 10_000 },
    (_, sequence) => ipv4({ id: sequence }, echo({ sequence })),
  );
  const answers = exchange(network, ...requests);
  assert.equal(answers.length, requests.length);
  answers.forEach((answer, sequence) => {
    assert.equal(new DataView(answer.buffer).getUint16(26), sequence);
    assert.equal(formatIp(addressFromBits(new DataView(answer.buffer).getUint32(12))), PEER);
  });
  assertDropped(network, {});
});

Deno.test("echo network: answers many hosts and sizes at once, with mixed fragments", () => {
  const network = makeNetwork();
  const random = new Random(11);
  const pings = Array.from({ length: 60 }, (_, number) => ({
    destination: `10.5.51.${3 + number}`,
    id: number,
    data: pattern(random.below(5000), number),
  }));
  const fragments = pings.flatMap(({ destination, id, data }) =>
    cutPlainly({ destination, id }, echo({ id, data }), 1480)
  );
  const answers = hostReceives(exchange(network, ...random.shuffle(fragments)));
  assert.equal(answers.length, pings.length);
  for (const { source, id, payload, copies } of answers) {
    const { destination, data } = pings[id]!;
    assert.equal(source, address(destination));
    assert.deepEqual(payload, echo({ type: 0, id, data }));
    assert.equal(copies, 1);
  }
  assertDropped(network, {});
});

Deno.test("echo network: drops incomplete datagrams after 30 s, and then still answers", () => {
  const network = makeNetwork();
  const [first, second] = cutPlainly({}, echo({ data: pattern(2000) }), 1480) as [Uint8Array, Uint8Array];
  assert.deepEqual(exchange(network, first), []);
  network.run(29_999);
  assertDropped(network, {});
  network.run(1);
  assertDropped(network, { "reassembly-timeout": 1 });
  // The last fragment alone is useless, but the whole datagram is answered.
  assert.deepEqual(exchange(network, second), []);
  assert.equal(exchange(network, first).length, 2);
});

/*
 *   stranger ──► proxy        A socket on loopback is open to every local program.
 *   stranger ──► router
 */
Deno.test("echo network: counts datagrams of strangers, and does not answer", () => {
  const network = makeNetwork();
  const peers = [network.ports.proxy, network.ports.router];
  const cells = [
    concat(hex("51 000000 00000001"), ipv4({}, echo())),
    concat(hex("54 000000 00000001"), ipv4({ source: PEER, destination: HOST }, echo({ type: 0 }))),
    hex(""),
    pattern(1000),
  ];
  for (const port of peers) for (const cell of cells) network.medium.carry(STRANGER, port, cell);
  network.run();
  assert.deepEqual(network.tun.take(), []);
  assertDropped(network, { "unknown-peer": peers.length * cells.length });
  assert.equal(exchange(network, ipv4({}, echo())).length, 1, "the tunnel still works");
});
