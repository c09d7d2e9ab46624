/**
 * Stage 6 as a whole, in memory: sealed circuits of several routers. The test searches every
 * datagram on every link, and must find nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import { testEach } from "../support/crypto.ts";
import {
  type Crossing,
  exitOf,
  LOWEST,
  occurs,
  Onion,
  type OnionOptions,
  portOf,
  PROXY,
  VM,
} from "../support/circuits.ts";
import { address, concat, hex, ipv4, readIpv4 } from "../support/packets.ts";
import { dotted, messageOf, packetsOf, pingOf } from "../support/ping.ts";
import { Witness } from "../support/witness.ts";

const CSAIL = "128.30.2.155";

/** A network with circuits of routers 1, 2 and 3. */
function make(crypto: CryptoProvider, options: OnionOptions = {}): Onion {
  return new Onion({ hops: 3, crypto, network: { random: LOWEST }, ...options });
}

/** Asserts that no datagram contains these bytes. */
function assertHidden(needles: Readonly<Record<string, Uint8Array>>, crossings: readonly Crossing[]): void {
  for (const [what, needle] of Object.entries(needles)) {
    for (const { from, to, bytes } of crossings) {
      assert.ok(!occurs(needle, bytes), `${what} can be seen from ${from} to ${to}`);
    }
  }
}

/** The bytes of an address. */
const octets = (text: string) => Uint8Array.from(text.split("."), Number);

testEach("stage 6: writes the classic logs of every party for one ping", (crypto) => {
  const onion = make(crypto);
  onion.ping();
  assert.deepEqual(onion.lines.proxy, [
    `ICMP from tunnel, src: ${VM}, dst: ${CSAIL}, type: 8`,
    "hop: 1, router: 1",
    "hop: 2, router: 2",
    "hop: 3, router: 3",
    "incoming extend-done circuit, incoming: 0x01 from port: 40001",
    "incoming extend-done circuit, incoming: 0x01 from port: 40001",
    "incoming extend-done circuit, incoming: 0x01 from port: 40001",
    `incoming packet, circuit incoming: 0x01, src: ${CSAIL}, dst: ${VM}`,
  ]);
  assert.deepEqual(onion.lines.routers, [
    [
      "new extend circuit: incoming: 0x01, outgoing: 0x101 at 40002",
      "forwarding extend circuit: incoming: 0x01, outgoing: 0x101 at 40002",
      "relay encrypted packet, circuit incoming: 0x01, outgoing: 0x101",
      "relay reply encrypted packet, circuit incoming: 0x101, outgoing: 0x01",
    ],
    [
      "new extend circuit: incoming: 0x101, outgoing: 0x201 at 40003",
      "relay encrypted packet, circuit incoming: 0x101, outgoing: 0x201",
      "relay reply encrypted packet, circuit incoming: 0x201, outgoing: 0x101",
    ],
    [
      "outgoing packet, circuit incoming: 0x201, " +
      "incoming src: 0.0.0.0, outgoing src: 192.168.203.2, dst: 128.30.2.155",
      "incoming packet, src: 128.30.2.155, dst: 192.168.203.2, outgoing circuit: 0x201",
    ],
    [],
  ]);
});

testEach("stage 6: shows nothing of a ping on any link, both ways", (crypto) => {
  for (const size of [8, 56, 1400, 4000]) {
    const onion = make(crypto, { network: { seed: size } });
    onion.watch();
    const ping = pingOf({ size });
    onion.assertWorks(ping);
    const crossings = onion.crossed();
    const message = messageOf(ping);
    const exit = onion.path.at(-1)!;
    const inWorld = readIpv4(onion.left()[exit - 1]![0]!).payload;
    assertHidden({
      "the request's addresses": concat(octets(VM), octets(CSAIL)),
      "the blanked ones": concat(octets("0.0.0.0"), octets(CSAIL)),
      "the reply's": concat(octets(CSAIL), octets("0.0.0.0")),
      "the header's first bytes": packetsOf(ping)[0]!.subarray(0, 8),
      "the message's first bytes": message.subarray(0, 8),
      ...Object.fromEntries(
        Array.from({ length: size / 8 }, (_, index) => [
          `data from ${8 * index}`,
          message.subarray(8 + 8 * index, 16 + 8 * index),
        ]),
      ),
    }, crossings);
    // Such short patterns occur by chance in long data.
    if (size > 56) continue;
    assertHidden({
      "the client": octets(VM),
      "the destination": octets(CSAIL),
      "the exit": octets(exitOf(exit)),
      "identifier and sequence number": message.subarray(4, 8),
      "identifier and sequence number in the world": inWorld.subarray(4, 8),
    }, crossings);
  }
});

testEach("stage 6: hides the next routers from observers of a link", (crypto) => {
  const onion = make(crypto, { firstClient: address(VM) });
  onion.watch();
  onion.listen();
  const place = (router: number) =>
    concat(hex("00000000"), Uint8Array.of(portOf(router) >> 8, portOf(router)));
  assertHidden({ "router 2": place(2), "router 3": place(3) }, onion.crossed());
});

testEach("stage 6: sends no secret over a link, and wipes every secret after use", (crypto) => {
  const witness = new Witness(crypto);
  const onion = make(witness, { firstClient: address(VM) });
  const before = witness.unwiped;
  assert.equal(before, 4, "the routers' own keys");
  onion.watch();
  for (let sequence = 1; sequence <= 5; sequence++) onion.assertWorks({ sequence });
  assert.ok(witness.secrets.length > 30);
  assertHidden(
    Object.fromEntries(
      witness.secrets.flatMap((secret, index) => [
        [`secret ${index}, first half`, secret.subarray(0, 16)],
        [`secret ${index}, second half`, secret.subarray(16)],
      ]),
    ),
    onion.crossed(),
  );
  assert.equal(witness.unwiped, before, "nothing else is left in memory");
  assert.equal(witness.alive, 12, "three layers, two keys each, at both ends");
});

testEach(
  "stage 6: only the exit sees the packet, without its source",
  (crypto) => {
    const witness = new Witness(crypto);
    const onion = make(witness);
    onion.assertWorks();
    const ping = pingOf({ sequence: 2 });
    const packet = packetsOf(ping)[0]!;
    witness.opened = [];
    const towards = onion.intercept(portOf(3), portOf(2), () => onion.exchange([packet]));
    // Outward, each router has removed one layer.
    const texts = witness.opened.map(({ text }) => text);
    assert.deepEqual(texts.map((text) => text.length), [
      packet.length + 48,
      packet.length + 24,
      packet.length,
    ]);
    for (const text of texts.slice(0, 2)) {
      assert.ok(!occurs(octets(CSAIL), text) && !occurs(messageOf(ping).subarray(8, 16), text));
    }
    const { source, destination, payload, id } = readIpv4(texts[2]!);
    assert.deepEqual([dotted(source), dotted(destination)], ["0.0.0.0", CSAIL], "no client");
    assert.deepEqual(payload, messageOf(ping), "otherwise unchanged");
    assert.equal(id, readIpv4(packet).id);
    // Homeward, only the proxy removes layers.
    witness.opened = [];
    onion.arrive(portOf(3), portOf(2), towards[0]!);
    const back = witness.opened.map(({ text }) => text);
    assert.deepEqual(back.map((text) => text.length), [
      packet.length + 48,
      packet.length + 24,
      packet.length,
    ]);
    assert.equal(dotted(readIpv4(back[2]!).destination), "0.0.0.0", "the exit does not know the client");
  },
);

testEach("stage 6: sends packets to the world from the exit's own address", (crypto) => {
  const onion = make(crypto);
  onion.assertWorks({ ttl: 17 });
  const [packets, ...others] = onion.left().toReversed().slice(1);
  assert.deepEqual(others, [[], []]);
  const { source, destination, ttl, options } = readIpv4(packets![0]!);
  assert.deepEqual([dotted(source), dotted(destination), ttl, options.length], [exitOf(3), CSAIL, 16, 0]);
  assert.ok(!occurs(octets(VM), packets![0]!));
});

testEach(
  "stage 6: makes identical pings look different on every link, both ways",
  (crypto) => {
    const onion = make(crypto);
    onion.assertWorks();
    onion.watch();
    const packet = packetsOf(pingOf({ sequence: 9 }))[0]!;
    for (let time = 0; time < 20; time++) onion.exchange([packet]);
    const bodies = onion.crossed().map(({ bytes }) => bytes.subarray(8));
    assert.equal(bodies.length, 20 * 6);
    // Counters and tags differ anyway, so compare all blocks of 16 bytes in between.
    const blocks = bodies.flatMap((body) =>
      Array.from(
        { length: Math.floor((body.length - 8) / 16) },
        (_, index) => body.subarray(8 + index * 16, 24 + index * 16).toHex(),
      )
    );
    assert.equal(new Set(blocks).size, blocks.length, "no repeated block");
  },
);

testEach(
  "stage 6: shrinks a cell by 24 bytes per hop outward, and grows it homeward",
  (crypto) => {
    for (const hops of [1, 2, 3, 5]) {
      const onion = make(crypto, { routers: 6, hops });
      onion.assertWorks();
      onion.watch();
      for (const size of [0, 56, 1000]) {
        onion.ping({ size });
        const along = onion.crossed().map(({ bytes }) => bytes.length);
        const out = Array.from({ length: hops }, (_, hop) => 8 + 28 + size + 24 * (hops - hop));
        assert.deepEqual(along, [...out, ...out.toReversed()]);
      }
    }
  },
);

testEach(
  "stage 6: increments a layer's counter by one, and never repeats it under one key",
  (crypto) => {
    const onion = make(crypto);
    onion.watch();
    for (let sequence = 1; sequence <= 30; sequence++) onion.assertWorks({ sequence });
    const counters = new Map<string, number[]>();
    for (const { from, to, bytes } of onion.crossed()) {
      if (bytes[0] === 0x65) continue;
      const link = `${from} ${to}`;
      const counter = Number(new DataView(bytes.buffer, bytes.byteOffset + 8).getBigUint64(0, true));
      counters.set(link, [...counters.get(link) ?? [], counter]);
    }
    // Before the first ping, the proxy sends two extend cells, and router 1 forwards one; then the
    // answers.
    assert.deepEqual(Object.fromEntries([...counters].map(([link, all]) => [link, all.length])), {
      [`${PROXY} ${portOf(1)}`]: 32,
      [`${portOf(1)} ${PROXY}`]: 32,
      [`${portOf(1)} ${portOf(2)}`]: 31,
      [`${portOf(2)} ${portOf(1)}`]: 31,
      [`${portOf(2)} ${portOf(3)}`]: 30,
      [`${portOf(3)} ${portOf(2)}`]: 30,
    });
    for (const all of counters.values()) assert.deepEqual(all, all.map((_, index) => index));
  },
);

testEach(
  "stage 6: shares no key or handshake between circuits",
  (crypto) => {
    const witness = new Witness(crypto);
    const onion = make(witness, { limits: { lifetime: 1000, draining: 0 } });
    const seen: string[] = [];
    onion.watch();
    for (let time = 0; time < 3; time++) {
      onion.assertWorks();
      onion.pass(3000);
      seen.push(
        ...onion.crossed().filter(({ bytes }) => bytes[0] === 0x65).map(({ bytes }) => bytes.toHex()),
      );
    }
    assert.equal(seen.length, 18);
    assert.equal(new Set(seen.map((each) => each.slice(16, 80))).size, 18, "no repeated public key");
  },
);

testEach(
  "stage 6: returns ICMP errors that quote the client's packet, sealed like any other",
  (crypto) => {
    const onion = make(crypto);
    onion.assertWorks();
    onion.watch();
    assert.deepEqual(onion.ping({ ttl: 3, sequence: 2 }), ["100.64.1.1: time exceeded"]);
    assertHidden(
      { who: octets("100.64.1.1"), "the client": octets(VM), "the exit": octets(exitOf(3)) },
      onion.crossed(),
    );
  },
);

testEach(
  "stage 6: drops a packet that is not a reply at the proxy, even from an exit",
  (crypto) => {
    const onion = make(crypto, { world: { host: () => "silent" } });
    onion.ping();
    const { payload } = readIpv4(onion.left()[2]![0]!);
    assert.deepEqual(
      onion.dropsIn(() => {
        const reply = ipv4({ source: CSAIL, destination: exitOf(3) }, payload);
        onion.worlds[2]!.inject(reply);
        assert.deepEqual(onion.listen(), []);
      }),
      [[3, "not-ours", 1]],
      "an echo request from the world is not a reply",
    );
  },
);
