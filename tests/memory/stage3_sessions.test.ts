/**
 * Stage 3 in memory: sessions, which tell an exit where a reply belongs. For the network, see
 * tests/support/stage3.ts.
 */
import assert from "node:assert/strict";
import { dropped } from "../support/network.ts";
import { TRANSLATOR_LIMITS } from "../../src/exit/raw_icmp/translator.ts";
import { address, echo, hex, ipv4 } from "../support/packets.ts";
import { assertAnswers, dotted, packetsOf, pingOf } from "../support/ping.ts";
import { CSAIL, DEAD, EXIT, MIT, Stage3, VM } from "../support/stage3.ts";
import { addressFromBits } from "../../src/ip/address.ts";

Deno.test("echo sessions: keep pings with one identifier apart, by host and by client", () => {
  const stage = new Stage3();
  const pings = [
    pingOf({ destination: CSAIL }),
    pingOf({ destination: MIT }),
    pingOf({ destination: CSAIL, source: "10.0.2.16" }),
    pingOf({ destination: MIT, source: "10.0.2.16" }),
  ];
  for (let sequence = 1; sequence <= 3; sequence++) {
    const sent = pings.map((ping) => ({ ...ping, sequence }));
    const heard = stage.exchange(sent.flatMap((ping) => packetsOf(ping)));
    assert.equal(heard.length, sent.length);
    sent.forEach((ping, index) => assertAnswers(heard[index]!, ping));
  }
  const external = stage.world.take().map((packet) => packet.subarray(24, 26).toHex());
  assert.equal(new Set(external).size, 4, "four sessions, four identifiers");
});

Deno.test("echo sessions: answer 200 destinations at once", () => {
  const stage = new Stage3();
  const sent = Array.from(
    { length: 200 },
    (_, host) => pingOf({ destination: `18.1.${host >> 5}.${host & 31 | 32}` }),
  );
  const heard = stage.exchange(sent.flatMap((ping) => packetsOf(ping)));
  assert.equal(heard.length, 200);
  sent.forEach((ping, index) => assertAnswers(heard[index]!, ping));
  assert.deepEqual(dropped(stage.network), {});
});

Deno.test("echo sessions: make no reply up for a dead host", () => {
  const stage = new Stage3();
  for (let sequence = 1; sequence <= 10; sequence++) {
    assert.deepEqual(stage.ping({ destination: DEAD, sequence }), []);
    assert.equal(stage.ping({ destination: MIT, sequence }).length, 1);
    assert.deepEqual(stage.listen(1000), []);
  }
  assert.equal(stage.world.take().length, 20, "each request was sent");
});

Deno.test("echo sessions: accept a reply until the exact end of a session", () => {
  for (
    const [wait, comes] of [[TRANSLATOR_LIMITS.idle - 1, true], [TRANSLATOR_LIMITS.idle, false]] as const
  ) {
    const stage = new Stage3();
    stage.ping({ destination: DEAD });
    stage.listen(wait);
    const reply = ipv4({ source: DEAD, destination: EXIT }, echo({ type: 0, id: stage.externalIdentifier }));
    assert.equal(stage.fromWorld(reply).length, comes ? 1 : 0, `after ${wait} ms`);
    assert.equal(stage.count("not-ours", 1), comes ? 0 : 1);
  }
});

Deno.test("echo sessions: refuse and count new ones while the table is full", () => {
  const stage = new Stage3({ world: { host: () => "silent" } });
  const { sessions, grace } = TRANSLATOR_LIMITS;
  const ping = (host: number) =>
    ipv4({ source: VM, destination: dotted(addressFromBits(0x1200_0001 + host)) }, echo());
  stage.exchange(Array.from({ length: sessions + 100 }, (_, host) => ping(host)));
  assert.equal(stage.count("exit-out", 1), sessions);
  assert.equal(stage.count("sessions-full", 1), 100);
  stage.exchange([ping(sessions)], grace);
  assert.equal(
    stage.count("exit-out", 1),
    sessions + 1,
    "the oldest session gives way after its grace period",
  );
});

Deno.test("echo sessions: choose the same identifiers from the same seed", () => {
  const bytes = (random?: () => number) => {
    const stage = new Stage3(random === undefined ? {} : { network: { random } });
    stage.ping();
    return stage.world.take()[0]!;
  };
  assert.deepEqual(bytes(), bytes());
  assert.deepEqual(bytes(() => 0x1234 / 0x1_0000).subarray(24, 26), hex("1234"));
});

/*
 * One card: the exit's address is the VM's own, so its pings see every packet from the world to the
 * exit.
 *
 *   ping A, id 100 ──► TUN … exit, id X ──► world ──► id X ──┬──► exit … TUN ──► id 100 ──► ping A
 *   ping B, id 200 ──► TUN … exit, id Y ──► world            └──► A and B, which must not accept X
 */
Deno.test("echo sessions: never match a reply to another ping of the host", () => {
  const stage = new Stage3({ world: { address: address(VM) }, network: { random: () => 200 / 65_536 } });
  const heard = (id: number) => stage.ping({ id }).length;
  assert.equal(heard(100), 1);
  assert.equal(stage.externalIdentifier, 200);
  assert.equal(heard(200), 1);
  assert.equal(heard(100), 1);
  for (const packet of stage.world.take()) {
    assert.ok(![100, 200].includes(packet[24]! << 8 | packet[25]!), "the identifier of a ping of this host");
  }
});
