import assert from "node:assert/strict";
import { formatPacket, parsePacket } from "../../src/ip/packet.ts";
import { cutPlainly, echo, ipv4, pattern } from "../support/packets.ts";

Deno.test("packet: has all fields of an echo request", () => {
  assert.deepEqual(parsePacket(ipv4({ ttl: 3 }, echo({ id: 7, sequence: 2 }))), {
    source: "10.5.51.2",
    destination: "10.5.51.7",
    ttl: 3,
    protocol: 1,
    type: 8,
    code: 0,
    identifier: 7,
    sequence: 2,
  });
});

Deno.test("packet: is described in words", () => {
  const [first, later] = cutPlainly({}, echo({ data: pattern(64) }), 24);
  const cases: [packet: Uint8Array, words: string][] = [
    [ipv4({}, echo()), "echo request"],
    [ipv4({}, echo({ type: 0 })), "echo reply"],
    [ipv4({}, echo({ type: 3, code: 1 })), "destination unreachable"],
    [ipv4({}, echo({ type: 11 })), "time exceeded"],
    [ipv4({}, echo({ type: 13 })), "ICMP type 13"],
    [ipv4({ protocol: 17 }, pattern(8)), "protocol 17"],
    [first!, "echo request"],
    [later!, "ICMP fragment"],
  ];
  for (const [packet, words] of cases) {
    assert.equal(formatPacket(parsePacket(packet)!), `10.5.51.2 → 10.5.51.7 ${words}`);
  }
});

Deno.test("packet: has no ICMP fields if the message is damaged or not ICMP", () => {
  for (const packet of [ipv4({}, echo({ checksum: 1 })), ipv4({ protocol: 6 }, pattern(20))]) {
    const { type, code, identifier, sequence } = parsePacket(packet)!;
    assert.deepEqual([type, code, identifier, sequence], new Array(4).fill(undefined));
  }
});

Deno.test("packet: is undefined for each truncation", () => {
  const packet = ipv4({}, echo());
  for (let length = 0; length < packet.length; length++) {
    assert.equal(parsePacket(packet.subarray(0, length)), undefined, `${length} bytes`);
  }
});
