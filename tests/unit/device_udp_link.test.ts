import assert from "node:assert/strict";
import fc from "fast-check";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { NOTHING, STRANGER } from "../../src/device/link.ts";
import { UdpLink } from "../../src/device/udp_link.ts";
import { UdpSocket } from "../../src/sys/udp.ts";
import { address, assertPoisonOutside, hex, pattern, poisoned } from "../support/packets.ts";
import { LOOPBACK } from "../../src/ip/address.ts";

/** 127.0.0.1 and 127.0.0.2 */
const OTHER_LOOPBACK = address("127.0.0.2");

/** Two neighbours on loopback, where a sent datagram has arrived when `send` returns. */
function makePair() {
  const stack = new DisposableStack();
  const [one, other] = [
    stack.use(UdpSocket.bind(LOOPBACK, 1 << 20)),
    stack.use(UdpSocket.bind(LOOPBACK, 1 << 20)),
  ];
  const link = (own: UdpSocket, neighbour: UdpSocket) =>
    new UdpLink(own.fd.number, [{ address: LOOPBACK, port: neighbour.localPort }]);
  return {
    one: link(one, other),
    other: link(other, one),
    port: other.localPort,
    onePort: one.localPort,
    [Symbol.dispose]: () => stack.dispose(),
  };
}

Deno.test("UDP link: receives a datagram behind the headroom, and touches nothing around it", () => {
  using pair = makePair();
  const into = poisoned();
  for (const length of [0, 1, 1500, 65_507]) {
    const sent = pattern(length);
    assert.equal(pair.one.send(0, poisoned(sent)), true);
    into.bytes.fill(0xa5);
    assert.equal(pair.other.receive(into), 0);
    assert.deepEqual(into.copy(), sent);
    assertPoisonOutside(into, into.start, into.end);
  }
  assert.equal(pair.other.receive(into), NOTHING);
});

Deno.test("UDP link: sends a packet with a header in the headroom", () => {
  using pair = makePair();
  const buffer = poisoned(hex("0304"));
  buffer.start -= 2;
  buffer.bytes.set(hex("0102"), buffer.start);
  pair.one.send(0, buffer);
  const into = poisoned();
  pair.other.receive(into);
  assert.deepEqual(into.copy(), hex("01020304"));
});

Deno.test("UDP link: refuses a datagram too long for UDP, and sends the next one", () => {
  using pair = makePair();
  assert.equal(pair.one.send(0, poisoned(pattern(65_508))), false);
  assert.equal(pair.one.send(0, poisoned(hex("01"))), true);
  assert.equal(pair.other.receive(poisoned()), 0);
});

Deno.test("UDP link: refuses a buffer too short for the longest train", () => {
  using pair = makePair();
  assert.throws(
    () => pair.other.receive(new PacketBuffer(65_506)),
    new RangeError("no room for the longest train"),
  );
});

Deno.test("UDP link: tells strangers from neighbours by port and address", () => {
  using pair = makePair();
  using elsewhere = UdpSocket.bind(LOOPBACK, 1 << 16);
  new UdpLink(elsewhere.fd.number, [{ address: LOOPBACK, port: pair.port }]).send(0, poisoned(hex("01")));
  assert.equal(pair.other.receive(poisoned()), STRANGER);

  // The neighbour's port at another address belongs to a stranger.
  using deceiver = UdpSocket.bind(OTHER_LOOPBACK, 1 << 16);
  using victim = UdpSocket.bind(LOOPBACK, 1 << 16);
  const link = new UdpLink(victim.fd.number, [{ address: LOOPBACK, port: deceiver.localPort }]);
  new UdpLink(deceiver.fd.number, [{ address: LOOPBACK, port: victim.localPort }]).send(
    0,
    poisoned(hex("01")),
  );
  assert.equal(link.receive(poisoned()), STRANGER);
});

Deno.test("UDP link: knows each neighbour by its index", () => {
  using stack = new DisposableStack();
  const sockets = [0, 1, 2].map(() => stack.use(UdpSocket.bind(LOOPBACK, 1 << 16)));
  using hub = UdpSocket.bind(LOOPBACK, 1 << 16);
  const link = new UdpLink(
    hub.fd.number,
    sockets.map(({ localPort }) => ({ address: LOOPBACK, port: localPort })),
  );
  for (const place of [2, 0, 1]) {
    const neighbour = new UdpLink(sockets[place]!.fd.number, [{ address: LOOPBACK, port: hub.localPort }]);
    neighbour.send(0, poisoned(Uint8Array.of(place)));
    assert.equal(link.receive(poisoned()), place);
    link.send(place, poisoned(Uint8Array.of(place)));
    const into = poisoned();
    assert.equal(neighbour.receive(into), 0);
    assert.deepEqual(into.copy(), Uint8Array.of(place));
  }
});

Deno.test("UDP link: works on after a neighbour has gone", () => {
  using pair = makePair();
  const gone = UdpSocket.bind(LOOPBACK, 1 << 16);
  const port = gone.localPort;
  gone[Symbol.dispose]();
  using own = UdpSocket.bind(LOOPBACK, 1 << 16);
  const link = new UdpLink(own.fd.number, [{ address: LOOPBACK, port }, {
    address: LOOPBACK,
    port: pair.port,
  }]);
  assert.equal(link.send(0, poisoned(hex("01"))), true);
  assert.equal(link.receive(poisoned()), NOTHING);
  assert.equal(link.send(1, poisoned(hex("02"))), true);
  assert.equal(pair.other.receive(poisoned()), STRANGER);
});

Deno.test("UDP link: delivers a train of datagrams whole and in order", () => {
  using pair = makePair();
  // Runs of one length with a shorter end, single, empty and growing ones, and more than a train
  // holds.
  const lengths = [
    ...Array.from({ length: 10 }, () => 100),
    60,
    100,
    0,
    0,
    1,
    2,
    3,
    ...Array.from({ length: 70 }, () => 1500),
    ...Array.from({ length: 5 }, () => 20_000),
    65_507,
    7,
  ];
  const sent = lengths.map((length, index) => {
    const bytes = pattern(length);
    if (length > 0) bytes[0] = index;
    return bytes;
  });
  const into = poisoned();
  const got: Uint8Array[] = [];
  const take = () => {
    while (pair.other.receive(into) !== NOTHING) got.push(into.copy());
  };
  pair.one.cork();
  for (const datagram of sent) {
    assert.equal(pair.one.send(0, poisoned(datagram)), true);
    if (got.length % 20 === 0) take();
  }
  assert.equal(pair.one.uncork(), 0);
  take();
  assert.deepEqual(got, sent);
  assert.equal(pair.other.hasMore, false);
});

Deno.test("UDP link: delivers every datagram once and in order, corked or not", () => {
  using pair = makePair();
  // Few lengths, so that many datagrams follow one of the same length and travel in a train.
  const length = fc.oneof(fc.constantFrom(0, 84, 85, 1400), fc.integer({ min: 0, max: 1500 }));
  const step = fc.oneof(
    { weight: 6, arbitrary: length },
    fc.constantFrom("cork" as const, "uncork" as const),
  );
  const buffers = [poisoned(), poisoned(), poisoned()];
  fc.assert(fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
    const sent: Uint8Array[] = [];
    for (const what of steps) {
      if (what === "cork") pair.one.cork();
      else if (what === "uncork") assert.equal(pair.one.uncork(), 0);
      else {
        const datagram = pattern(what);
        if (what > 0) datagram[0] = sent.length;
        sent.push(datagram);
        assert.equal(pair.one.send(0, poisoned(datagram)), true);
      }
    }
    assert.equal(pair.one.uncork(), 0);
    const got: Uint8Array[] = [];
    for (let turn = 0;; turn++) {
      const into = buffers[turn % buffers.length]!;
      if (pair.other.receive(into) === NOTHING) break;
      got.push(into.copy());
    }
    assert.deepEqual(got, sent);
  }));
});

Deno.test("UDP link: says that datagrams of a train remain, because poll does not", () => {
  using pair = makePair();
  pair.one.cork();
  for (let i = 0; i < 3; i++) pair.one.send(0, poisoned(hex("010203")));
  pair.one.uncork();
  const into = poisoned();
  const more = [0, 1, 2].map(() => {
    assert.equal(pair.other.receive(into), 0);
    return pair.other.hasMore;
  });
  assert.deepEqual(more, [true, true, false]);
});

Deno.test("UDP link: sends each neighbour its own datagrams, in any mix", () => {
  using stack = new DisposableStack();
  using hub = UdpSocket.bind(LOOPBACK, 1 << 20);
  const sockets = [0, 1].map(() => stack.use(UdpSocket.bind(LOOPBACK, 1 << 20)));
  const link = new UdpLink(
    hub.fd.number,
    sockets.map((each) => ({ address: LOOPBACK, port: each.localPort })),
  );
  link.cork();
  for (const place of [0, 0, 1, 0, 1, 1]) link.send(place, poisoned(Uint8Array.of(place)));
  assert.equal(link.uncork(), 0);
  for (const [place, socket] of sockets.entries()) {
    const neighbour = new UdpLink(socket.fd.number, [{ address: LOOPBACK, port: hub.localPort }]);
    const into = poisoned();
    for (let i = 0; i < 3; i++) {
      assert.equal(neighbour.receive(into), 0);
      assert.deepEqual(into.copy(), Uint8Array.of(place));
    }
    assert.equal(neighbour.receive(into), NOTHING);
  }
});

Deno.test("UDP link: holds its loopback port at every address, so no other user can send from it", () => {
  using socket = UdpSocket.bindLoopback(1 << 16);
  const port = socket.localPort;
  for (const hostname of ["127.0.0.1", "127.0.0.2", "0.0.0.0"]) {
    assert.throws(
      () => Deno.listenDatagram({ transport: "udp", hostname, port }).close(),
      Deno.errors.AddrInUse,
      hostname,
    );
  }
});

Deno.test("UDP link: a lost neighbour gets nothing and is a stranger, until it has a new endpoint", () => {
  using pair = makePair();
  using successor = UdpSocket.bind(LOOPBACK, 1 << 20);
  const heir = new UdpLink(successor.fd.number, [{ address: LOOPBACK, port: pair.onePort }]);
  pair.one.replaceNeighbour(0, undefined);
  assert.equal(pair.one.send(0, poisoned(hex("01"))), false);
  assert.equal(pair.other.send(0, poisoned(hex("02"))), true);
  assert.equal(pair.one.receive(poisoned()), STRANGER);
  pair.one.replaceNeighbour(0, { address: LOOPBACK, port: successor.localPort });
  assert.equal(pair.one.send(0, poisoned(hex("03"))), true);
  assert.deepEqual([heir.receive(poisoned()), pair.other.receive(poisoned())], [0, NOTHING]);
  assert.equal(heir.send(0, poisoned(hex("04"))), true);
  assert.equal(pair.one.receive(poisoned()), 0);
  pair.other.send(0, poisoned(hex("05")));
  assert.equal(pair.one.receive(poisoned()), STRANGER, "the old endpoint stays a stranger");
});
