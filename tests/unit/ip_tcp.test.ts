import assert from "node:assert/strict";
import fc from "fast-check";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { TcpFlag, TcpView } from "../../src/ip/tcp.ts";
import { hex, ipv4, poisoned } from "../support/packets.ts";

/**
 * A SYN with a maximum segment size, and a SYN+ACK without options, through Linux 6.18 as a NAT.
 */
const SYN = hex("9c43 01bb 12345678 00000000 6002 faf0 8826 0000 020405b4");
const SYN_ACK = hex("01bb 9c43 9abcdef0 12345679 5012 faf0 a5c0 0000");

/** Wraps a packet of protocol 6. */
function wrapped(
  payload: Uint8Array,
  header: Parameters<typeof ipv4>[0] = {},
): [string | undefined, TcpView, number] {
  const [packet, ip, tcp] = [
    poisoned(ipv4({ protocol: 6, ...header }, payload)),
    new Ipv4View(),
    new TcpView(),
  ];
  assert.equal(ip.wrap(packet), undefined);
  return [tcp.wrap(packet, ip), tcp, packet.end];
}

function fieldsOf(
  { sourcePort, destinationPort, sequence, acknowledgment, flags, window, checksum }: TcpView,
) {
  return [sourcePort, destinationPort, sequence, acknowledgment, flags, window, checksum];
}

Deno.test("TCP view: reads every field of a segment, with and without options", () => {
  const [fault, syn, end] = wrapped(SYN);
  assert.equal(fault, undefined);
  assert.deepEqual(fieldsOf(syn), [40_003, 443, 0x1234_5678, 0, TcpFlag.syn, 0xfaf0, 0x8826]);
  assert.equal(syn.data, end, "a SYN without data");
  const [, synAck] = wrapped(SYN_ACK);
  const { syn: opens, ack } = TcpFlag;
  assert.deepEqual(fieldsOf(synAck), [443, 40_003, 0x9abc_def0, 0x1234_5679, opens | ack, 0xfaf0, 0xa5c0]);
});

Deno.test("TCP view: rejects each truncation of the header, also in a first fragment", () => {
  for (let length = 0; length < SYN.length; length++) {
    assert.equal(wrapped(SYN.subarray(0, length))[0], "bad-length", `${length} bytes`);
    if (length % 8 !== 0 || length === 0) continue;
    assert.equal(wrapped(SYN.subarray(0, length), { moreFragments: true })[0], "bad-length", "a fragment");
  }
});

Deno.test("TCP view: rejects a data offset below 5 words, and one behind the segment's end", () => {
  for (
    const [offset, fault] of [[0, "bad-length"], [4, "bad-length"], [5, undefined], [6, undefined], [
      7,
      "bad-length",
    ]] as const
  ) {
    const segment = SYN.slice();
    segment[12] = offset << 4;
    assert.equal(wrapped(segment)[0], fault, `${offset} words`);
  }
});

Deno.test("TCP view: accepts only headers that lie within the packet", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (payload) => {
    const [fault, tcp, end] = wrapped(payload);
    if (fault === undefined) assert.ok(tcp.data <= end && tcp.data >= end - payload.length + 20);
  }));
});
