import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeAnswer, encodeQuestion, RouteSocket } from "../../src/sys/route_query.ts";
import { LOOPBACK } from "../../src/ip/address.ts";
import { address, hex } from "../support/packets.ts";

/** The names of the interfaces of the recorded answers. */
const NAMES: Readonly<Record<number, string>> = { 1: "lo", 2: "tun1", 4: "eth0", 6: "eth1" };
const nameOf = (index: number) => NAMES[index];

/** The end of every route: RTA_UID, and RTA_CACHEINFO. */
const END =
  "0800 1900 00000000  2400 0c00 02000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000";

/** Questions and answers of Linux 6.18, in a namespace with the tables of a run. */
const ASKED = {
  "a captured packet": {
    question: { to: address("18.0.0.1"), from: address("10.0.2.15") },
    index: undefined,
    sent: "2c000000 1a00 0100 00000000 00000000  02 20 20 00 00 00 00 00 00100000 " +
      "0800 0100 12000001  0800 0200 0a00020f",
    got: "68000000 1800 0000 00000000 6d260000  02 20 20 00 09 00 00 01 00020000 " +
      "0800 0f00 09000000  0800 0100 12000001  0800 0200 0a00020f  0800 0400 02000000 " + END,
    answer: { kind: "leaves", device: "tun1", table: 9, source: undefined },
  },
  "a packet without a source, with a mark": {
    question: { to: address("18.0.0.1"), mark: 0x6f6e_0000 },
    index: undefined,
    sent: "2c000000 1a00 0100 00000000 00000000  02 20 00 00 00 00 00 00 00100000 " +
      "0800 0100 12000001  0800 1000 00006e6f",
    got: "70000000 1800 0000 00000000 6d260000  02 20 00 00 09 00 00 01 00020000 " +
      "0800 0f00 09000000  0800 0100 12000001  0800 0400 02000000  0800 0700 0a053302  0800 1000 00006e6f " +
      END,
    answer: { kind: "leaves", device: "tun1", table: 9, source: address("10.5.51.2") },
  },
  "a packet of a socket bound to an interface": {
    question: { to: address("18.0.0.1"), from: address("192.168.201.2"), device: "eth1" },
    index: 6,
    sent: "34000000 1a00 0100 00000000 00000000  02 20 20 00 00 00 00 00 00100000 " +
      "0800 0100 12000001  0800 0200 c0a8c902  0800 0400 06000000",
    got: "70000000 1800 0000 00000000 6d260000  02 20 20 00 fc 00 00 01 00020000 " +
      "0800 0f00 85030000  0800 0100 12000001  0800 0200 c0a8c902  0800 0400 06000000  0800 0500 c0a8c901 " +
      END,
    answer: { kind: "leaves", device: "eth1", table: 901, source: undefined },
  },
  "a packet that only its socket leads to an interface": {
    question: { to: address("9.9.9.9"), from: address("192.168.201.2"), device: "eth1" },
    index: 6,
    sent: "34000000 1a00 0100 00000000 00000000  02 20 20 00 00 00 00 00 00100000 " +
      "0800 0100 09090909  0800 0200 c0a8c902  0800 0400 06000000",
    got: "68000000 1800 0000 00000000 6d260000  02 20 20 00 00 00 00 01 00020000 " +
      "0800 0f00 00000000  0800 0100 09090909  0800 0200 c0a8c902  0800 0400 06000000 " + END,
    answer: { kind: "leaves", device: "eth1", table: undefined, source: undefined },
  },
  "a packet to this host": {
    question: { to: address("10.0.2.15") },
    index: undefined,
    sent: "24000000 1a00 0100 00000000 00000000  02 20 00 00 00 00 00 00 00100000  0800 0100 0a00020f",
    got: "68000000 1800 0000 00000000 6d260000  02 20 00 00 ff 00 00 02 00020080 " +
      "0800 0f00 ff000000  0800 0100 0a00020f  0800 0400 01000000  0800 0700 0a00020f " + END,
    answer: { kind: "stays" },
  },
  "a packet that a route prohibits": {
    question: { to: address("128.0.0.1"), from: address("10.0.2.15") },
    index: undefined,
    sent: "2c000000 1a00 0100 00000000 00000000  02 20 20 00 00 00 00 00 00100000 " +
      "0800 0100 80000001  0800 0200 0a00020f",
    got: "40000000 0200 0000 00000000 6d260000  f3ffffff 2c000000 1a00 0100 00000000 00000000 " +
      "02 20 20 00 00 00 00 00 00100000  0800 0100 80000001  0800 0200 0a00020f",
    answer: { kind: "refused", error: "EACCES" },
  },
} as const;

for (const [name, { question, index, sent, got, answer }] of Object.entries(ASKED)) {
  Deno.test(`route query: ${name}, as recorded`, () => {
    assert.deepEqual(encodeQuestion(question, index), hex(sent));
    assert.deepEqual(decodeAnswer(hex(got), nameOf), answer);
  });
}

Deno.test("route query: an interface that is gone before it can be named refuses", () => {
  const refused = { kind: "refused", error: "ENODEV" };
  assert.deepEqual(decodeAnswer(hex(ASKED["a captured packet"].got), () => undefined), refused);
});

Deno.test("route query: decodes any bytes without failing", () => {
  const messages = Object.values(ASKED).map(({ got }) => hex(got));
  const bent = fc.tuple(
    fc.constantFrom(...messages),
    fc.array(fc.tuple(fc.nat(111), fc.nat(255))),
    fc.nat(112),
  );
  fc.assert(
    fc.property(bent, ([message, changes, length]) => {
      const bytes = Uint8Array.from(message);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const { kind } = decodeAnswer(bytes.subarray(0, length), nameOf);
      assert.ok(["leaves", "stays", "refused"].includes(kind));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("route query: any question is encoded with the parts that it has", () => {
  const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((each) =>
    address(each.join("."))
  );
  const questions = fc.record({ to: octets, from: octets, mark: fc.nat() }, { requiredKeys: ["to"] });
  const index = fc.option(fc.integer({ min: 1, max: 2 ** 31 - 1 }), { nil: undefined });
  fc.assert(fc.property(questions, index, (question, index) => {
    const bytes = encodeQuestion(question, index);
    const parts = Object.keys(question).length + Number(index !== undefined);
    assert.equal(bytes.length, 28 + 8 * parts);
    assert.equal(new DataView(bytes.buffer).getUint32(0, true), bytes.length);
  }));
});

Deno.test("route query: the kernel answers that loopback stays, and an unknown interface refuses", () => {
  using socket = new RouteSocket();
  assert.deepEqual(socket.ask({ to: LOOPBACK }), { kind: "stays" });
  const refused = { kind: "refused", error: "ENODEV" };
  assert.deepEqual(socket.ask({ to: LOOPBACK, device: "no-such-card" }), refused);
});
