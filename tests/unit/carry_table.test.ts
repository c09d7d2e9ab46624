import assert from "node:assert/strict";
import { CARRY_TABLE, CarryChecks } from "../../src/carry/table.ts";
import { STAGES } from "../../src/config/stages.ts";
import { Ipv4View, type ProtocolName } from "../../src/ip/ipv4.ts";
import { cutPlainly, echo, hex, ipv4, pattern, poisoned } from "../support/packets.ts";

const [TCP, UDP, GRE] = [6, 17, 47];

const SYN = hex("9c43 01bb 12345678 00000000 5002 faf0 0000 0000");
const QUERY = hex("9c40 0035 000d 0000 7175657279");

/** Checks a packet outward and homeward. */
function verdicts(
  carries: readonly ProtocolName[],
  packet: Uint8Array,
): [string | undefined, string | undefined] {
  const checks = new CarryChecks(carries);
  const [buffer, ip] = [poisoned(packet), new Ipv4View()];
  assert.equal(ip.wrap(buffer), undefined);
  return [checks.outward(buffer, ip), checks.homeward(buffer, ip)];
}

Deno.test("carry: passes echo requests outward, and echo replies and reports homeward", () => {
  const [request, reply] = ["not-a-reply", "not-echo-request"];
  for (let type = 0; type < 256; type++) {
    const isReply = type === 0 || type === 3 || type === 11 || type === 12;
    const want = type === 8 ? [undefined, request] : [reply, isReply ? undefined : request];
    assert.deepEqual(verdicts(["icmp"], ipv4({}, echo({ type }))), want, `type ${type}`);
  }
});

Deno.test("carry: rejects damaged and truncated ICMP messages", () => {
  for (let length = 0; length < 8; length++) {
    assert.deepEqual(verdicts(["icmp"], ipv4({}, echo().subarray(0, length))), ["bad-length", "bad-length"]);
  }
  const damaged = ipv4({}, echo({ checksum: 0x1234 }));
  assert.deepEqual(verdicts(["icmp"], damaged), ["icmp-checksum", "icmp-checksum"]);
});

Deno.test("carry: checks the type of a first fragment, but not its checksum", () => {
  const [first, later] = cutPlainly({}, echo({ type: 8, data: pattern(64) }), 24);
  assert.deepEqual(verdicts(["icmp"], first!), [undefined, "not-a-reply"]);
  assert.deepEqual(verdicts(["icmp"], later!), [undefined, undefined]);
});

Deno.test("carry: rejects all fragments of a protocol that the network does not carry", () => {
  const refused = ["not-carried", "not-carried"];
  for (const protocol of [TCP, UDP, GRE, 0, 255]) {
    for (const offset of [0, 8]) {
      assert.deepEqual(
        verdicts(["icmp"], ipv4({ protocol, offset }, pattern(40))),
        refused,
        `protocol ${protocol}`,
      );
    }
  }
  assert.deepEqual(verdicts([], ipv4({}, echo())), refused);
  assert.equal(new CarryChecks(["icmp", "udp"]).has(UDP), true);
  assert.equal(new CarryChecks(["icmp", "udp"]).has(TCP), false);
});

Deno.test("carry: passes TCP and UDP with a complete header, both ways", () => {
  const both: readonly ProtocolName[] = ["tcp", "udp"];
  for (const [protocol, payload] of [[TCP, SYN], [UDP, QUERY]] as const) {
    assert.deepEqual(verdicts(both, ipv4({ protocol }, payload)), [undefined, undefined]);
    const cut = ipv4({ protocol }, payload.subarray(0, 7));
    assert.deepEqual(verdicts(both, cut), ["bad-length", "bad-length"]);
  }
});

Deno.test("carry: stages 2 to 6 carry ICMP only, and stage 1 nothing", () => {
  for (const { number, traffic, carries } of STAGES) {
    if (number <= 6) assert.deepEqual(carries, traffic ? ["icmp"] : [], `stage ${number}`);
    for (const name of carries) assert.ok(name in CARRY_TABLE);
  }
});
