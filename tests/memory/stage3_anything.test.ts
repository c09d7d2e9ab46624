/**
 * Stage 3 in memory: any path, any bytes, and faulty links. For the network, see
 * tests/support/stage3.ts.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { dropped, droppedBy } from "../support/network.ts";
import { address, concat, echo, ipv4, readIpv4 } from "../support/packets.ts";
import {
  assertAnswers,
  assertQuotes,
  dotted,
  hear,
  type Heard,
  packetsOf,
  type Ping,
  pingOf,
  tell,
} from "../support/ping.ts";
import { Random } from "../support/random.ts";
import { CSAIL, DEAD, EXIT, HOP, MIT, NOBODY, Stage3, VM } from "../support/stage3.ts";
import { addressFromBits, type IpAddress } from "../../src/ip/address.ts";

Deno.test("raw ICMP network: any ping over any path returns what the path says, as ping's own", () => {
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

  /** The expected outcome, computed hop by hop. */
  function path(
    { destination, ttl, dontFragment, size, id, sequence }: Ping,
    first: number,
    routers: { address: IpAddress; mtu: number }[],
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

Deno.test("raw ICMP network: any bytes from the world answer a request or are counted", () => {
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
  /** Changed, but with correct checksums, so that it passes their checks. */
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
      source: dotted(addressFromBits(new DataView(concat(bytes, new Uint8Array(20)).buffer).getUint32(12))),
      destination,
      ttl: bytes[8] ?? 0,
    }, new Uint8Array(buffer));
  });
  const noise = fc.uint8Array({ maxLength: 200 });

  let came = 0;
  fc.assert(
    fc.property(fc.oneof(noise, bent, mended), (packet) => {
      const before = {
        out: stage.count("link-out", 1),
        dropped: droppedBy(stage.network.counters.router.snapshot()),
      };
      const heard = stage.fromWorld(packet);
      const dropped = droppedBy(stage.network.counters.router.snapshot()) - before.dropped;
      assert.deepEqual([heard.length, dropped].toSorted(), [0, 1], "delivered or dropped");
      assert.equal(stage.count("link-out", 1) - before.out, heard.length);
      came += heard.length;
      for (const each of heard) {
        assert.equal(dotted(each.destination), VM, "for the client that asked");
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
  assert.equal(stage.count("exit-in", 1), 5000);
  assert.equal(stage.ping().length, 1, "it still works");
});

Deno.test("raw ICMP network: delivers only true packets over faulty links, and most of them", () => {
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
      assert.ok(quoted !== undefined || ping.destination !== DEAD, "a dead host does not answer");
      answered.add(key);
    }
    assert.ok(answered.size > 200, `${answered.size} of 400 answered`);
    assert.ok(Object.keys(dropped(stage.network)).length > 0, "damage was detected");
  }
});

/** A quote with the length that its header states. */
function padded(quote: Uint8Array): Uint8Array {
  const whole = new Uint8Array(quote[2]! << 8 | quote[3]!);
  whole.set(quote.subarray(0, whole.length));
  return whole;
}

Deno.test("raw ICMP network: delivers a long datagram whole or not at all", () => {
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

  /**
   * Acts as the VM's kernel: ignores duplicates, and shows only complete and undamaged datagrams.
   */
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
