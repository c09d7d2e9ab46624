/**
 * The raw ICMP exit by itself. Whole networks with it are in `tests/memory/stage3_*.test.ts`.
 *
 * @module
 */
import { RawIcmpExit, type SendResult } from "../../src/exit/raw_icmp/core.ts";
import { TRANSLATOR_LIMITS } from "../../src/exit/raw_icmp/translator.ts";
import { hopOf } from "../../src/ip/cidr.ts";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { MemoryWorld } from "../../src/sim/world.ts";
import { Counters } from "../../src/trace/counters.ts";
import { SILENT } from "../../src/trace/events.ts";
import { NO_EVENTS } from "../support/events.ts";
import { address, concat, echo, hex, ipv4, pattern, poisoned, readIpv4 } from "../support/packets.ts";
import { dotted } from "../support/ping.ts";
import assert from "node:assert/strict";

const EXIT = "192.168.201.2";
const VM = "10.0.2.15";
const CSAIL = "128.30.2.155";

/** An exit whose external identifiers count up from 0x1234. */
function makeExit() {
  const world = new MemoryWorld({ address: address(EXIT), host: () => "silent" });
  const counters = new Counters();
  const delivered: [circuit: number, packet: Uint8Array][] = [];
  const exit = new RawIcmpExit(
    { address: address(EXIT), hop: address("10.5.51.1") },
    world,
    (circuit, packet) => delivered.push([circuit, packet.copy()]),
    { counters, events: SILENT },
    () => 0x1234 / 0x1_0000,
  );
  const ip = new Ipv4View();
  return {
    exit,
    send: (packet: Uint8Array, circuit = 1, now = 0) => {
      const buffer = poisoned(packet);
      assert.equal(ip.wrap(buffer), undefined);
      exit.send(circuit, buffer, ip, now);
      return world.take();
    },
    fromWorld: (packet: Uint8Array, now = 0) => {
      exit.fromWorld(poisoned(packet), now);
      return delivered.splice(0);
    },
    delivered: () => delivered.splice(0),
    counters,
  };
}

/** `ping 128.30.2.155` of Linux with identifier 7, and the same packet between exit and world. */
const DATA = pattern(56);
const REQUEST = concat(hex("45 00 0054 1c46 4000 3d 01 929b 0a00020f 801e029b  08 00 5dfa 0007 0001"), DATA);
const OUTSIDE = concat(hex("45 00 0054 0001 4000 3c 01 3244 c0a8c902 801e029b  08 00 4bcd 1234 0001"), DATA);

Deno.test("raw ICMP exit: golden bytes of a request on its way out", () => {
  assert.deepEqual(makeExit().send(REQUEST), [OUTSIDE]);
});

Deno.test("raw ICMP exit: golden bytes of a reply on its way back", () => {
  const { send, fromWorld } = makeExit();
  send(REQUEST);
  const reply = concat(hex("45 00 0054 beef 0000 3c 01 b355 801e029b c0a8c902  00 00 53cd 1234 0001"), DATA);
  const back = concat(hex("45 00 0054 beef 0000 3b 01 31f2 801e029b 0a00020f  00 00 65fa 0007 0001"), DATA);
  assert.deepEqual(fromWorld(reply), [[1, back]]);
});

Deno.test("raw ICMP exit: golden bytes of an error, which quotes the request as the client sent it", () => {
  const { send, fromWorld } = makeExit();
  send(REQUEST);
  const about = hex("45 00 0054 0001 4000 01 01 6d44 c0a8c902 801e029b  08 00 4bcd 1234 0001");
  const error = concat(hex("45 c0 0038 0000 4000 3f 01 4c19 64400101 c0a8c902  0b 00 8efd 0000 0000"), about);
  const restored = hex("45 00 0054 0001 4000 01 01 eae0 0a00020f 801e029b  08 00 5dfa 0007 0001");
  const back = concat(
    hex("45 c0 0038 0000 4000 3e 01 cab5 64400101 0a00020f  0b 00 8efd 0000 0000"),
    restored,
  );
  assert.deepEqual(fromWorld(error), [[1, back]]);
});

Deno.test("raw ICMP exit: the same ping over two circuits is two sessions", () => {
  const { send, fromWorld } = makeExit();
  const request = ipv4({ source: VM, destination: CSAIL }, echo());
  const ids = [1, 2].map((circuit) => send(request, circuit)[0]!.subarray(24, 26).toHex());
  assert.deepEqual(ids, ["1234", "1235"]);
  for (const [circuit, id] of [[2, 0x1235], [1, 0x1234]] as const) {
    const [back] = fromWorld(ipv4({ source: CSAIL, destination: EXIT }, echo({ type: 0, id })));
    assert.equal(back![0], circuit);
  }
});

Deno.test("raw ICMP exit: its deadline is the end of its first session, and there is none without sessions", () => {
  const { exit, send, fromWorld } = makeExit();
  assert.equal(exit.deadline, Infinity);
  send(ipv4({ source: VM, destination: CSAIL }, echo()), 1, 1000);
  send(ipv4({ source: VM, destination: "18.9.22.69" }, echo()), 1, 3000);
  assert.equal(exit.deadline, 1000 + TRANSLATOR_LIMITS.idle);
  exit.expire(exit.deadline);
  assert.equal(exit.deadline, 3000 + TRANSLATOR_LIMITS.idle);
  exit.expire(exit.deadline);
  assert.equal(exit.deadline, Infinity);
  assert.deepEqual(
    fromWorld(ipv4({ source: CSAIL, destination: EXIT }, echo({ type: 0, id: 0x1234 })), 1e6),
    [],
  );
});

Deno.test("raw ICMP exit: the error about a packet too long for the kernel quotes it as the client sent it", () => {
  const { send, delivered } = makeExit();
  const request = ipv4(
    { source: VM, destination: CSAIL, dontFragment: true, ttl: 9 },
    echo({ data: pattern(1473) }),
  );
  assert.deepEqual(send(request), []);
  const [[, error]] = delivered() as [[number, Uint8Array]];
  assert.deepEqual(error.subarray(28), request.subarray(0, 548));
});

Deno.test("raw ICMP exit: an error of the kernel itself comes from the hop", () => {
  const { send, fromWorld } = makeExit();
  const request = ipv4({ source: VM, destination: CSAIL }, echo({ id: 7 }));
  const [outside] = send(request);
  const error = ipv4(
    { source: EXIT, destination: EXIT },
    echo({ type: 3, code: 1, id: 0, sequence: 0, data: outside! }),
  );
  const [[, back]] = fromWorld(error) as [[number, Uint8Array]];
  const { source, destination, payload } = readIpv4(back);
  assert.deepEqual([dotted(source), dotted(destination)], ["10.5.51.1", VM]);
  const quoted = readIpv4(payload.subarray(8));
  assert.deepEqual([dotted(quoted.source), dotted(quoted.destination)], [VM, CSAIL]);
});

Deno.test("raw ICMP exit: tells the client why the kernel refused a packet", () => {
  const refused = (result: SendResult) => {
    const errors: string[] = [];
    const exit = new RawIcmpExit(
      { address: address(EXIT), hop: address("10.5.51.1") },
      { fd: undefined, mtu: 1400, send: () => result, receive: () => false },
      (_circuit, packet) => {
        const { source, payload } = readIpv4(packet.copy());
        errors.push(`${dotted(source)} ${payload[0]} ${payload[1]}`);
      },
      { counters: new Counters(), events: NO_EVENTS },
      () => 0.5,
    );
    const buffer = poisoned(ipv4({ source: VM, destination: CSAIL }, echo()));
    const ip = new Ipv4View();
    assert.equal(ip.wrap(buffer), undefined);
    exit.send(1, buffer, ip, 0);
    return errors;
  };
  assert.deepEqual(refused("no-network"), ["10.5.51.1 3 0"]);
  assert.deepEqual(refused("no-host"), ["10.5.51.1 3 1"]);
  assert.deepEqual(refused("prohibited"), ["10.5.51.1 3 13"]);
  assert.deepEqual(refused("refused"), [], "there may be room for the next one");
});

Deno.test("hop address: the tunnel's lowest host, or the next one if that is the tunnel's own", () => {
  for (
    const [own, prefix, hop] of [
      ["10.5.51.2", 24, "10.5.51.1"],
      ["10.5.51.1", 24, "10.5.51.2"],
      ["10.5.51.200", 25, "10.5.51.129"],
      ["10.5.51.5", 30, "10.5.51.6"],
      ["10.200.3.4", 8, "10.0.0.1"],
    ] as const
  ) {
    assert.equal(dotted(hopOf({ address: address(own), prefix })), hop, `${own}/${prefix}`);
  }
});

Deno.test("raw ICMP exit: tells answers of the world from its own", () => {
  const world = new MemoryWorld({ address: address(EXIT), mtu: 1400, host: () => "silent" });
  const origins: boolean[] = [];
  const exit = new RawIcmpExit(
    { address: address(EXIT), hop: address("10.5.51.1") },
    world,
    (_circuit, _packet, isFromWorld) => origins.push(isFromWorld),
    { counters: new Counters(), events: NO_EVENTS },
    () => 0x1234 / 0x1_0000,
  );
  const ip = new Ipv4View();
  const send = (packet: Uint8Array) => {
    const buffer = poisoned(packet);
    assert.equal(ip.wrap(buffer), undefined);
    exit.send(1, buffer, ip, 0);
    return origins.splice(0);
  };
  const asked = { source: VM, destination: CSAIL };
  assert.deepEqual(send(ipv4({ source: VM, destination: EXIT }, echo())), [false], "its own answer");
  assert.deepEqual(send(ipv4({ ...asked, ttl: 1 }, echo())), [false], "time exceeded");
  const long = echo({ data: pattern(1400) });
  assert.deepEqual(send(ipv4({ ...asked, dontFragment: true }, long)), [false], "too long for its link");
  assert.deepEqual(send(ipv4(asked, echo())), []);
  exit.fromWorld(poisoned(ipv4({ source: CSAIL, destination: EXIT }, echo({ type: 0, id: 0x1234 }))), 0);
  assert.deepEqual(origins, [true]);
});

Deno.test("raw ICMP exit: of exits that share an address, each takes only its own answers", () => {
  const taken: number[] = [];
  const exits = [0, 1].map((index) =>
    new RawIcmpExit(
      { address: address(EXIT), hop: address("10.5.51.1"), share: { index, of: 2 } },
      new MemoryWorld({ address: address(EXIT), host: () => "silent" }),
      () => taken.push(index),
      { counters: new Counters(), events: SILENT },
      () => 0.5,
    )
  );
  const ip = new Ipv4View();
  for (const exit of exits) {
    const buffer = poisoned(ipv4({ source: VM, destination: CSAIL }, echo()));
    assert.equal(ip.wrap(buffer), undefined);
    exit.send(1, buffer, ip, 0);
  }
  for (const id of [0x8001, 0x8000]) {
    for (const exit of exits) {
      exit.fromWorld(poisoned(ipv4({ source: CSAIL, destination: EXIT }, echo({ type: 0, id }))), 0);
    }
  }
  assert.deepEqual(taken, [1, 0]);
});
