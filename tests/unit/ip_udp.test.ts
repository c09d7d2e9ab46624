import assert from "node:assert/strict";
import fc from "fast-check";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { UDP_HEADER, UdpView, writeUdpHeader } from "../../src/ip/udp.ts";
import { address, assertPoisonOutside, hex, ipv4, pattern, poisoned } from "../support/packets.ts";

/** A DNS query's datagram, as Linux 6.18 sends it. */
const DATAGRAM = hex("9c40 0035 000d 84ae 7175657279");

/** Wraps a packet of protocol 17. */
function wrapped(
  payload: Uint8Array,
  header: Parameters<typeof ipv4>[0] = {},
): [string | undefined, UdpView] {
  const [packet, ip, udp] = [
    poisoned(ipv4({ protocol: 17, ...header }, payload)),
    new Ipv4View(),
    new UdpView(),
  ];
  assert.equal(ip.wrap(packet), undefined);
  return [udp.wrap(packet, ip), udp];
}

Deno.test("UDP view: reads every field of a datagram", () => {
  const [fault, udp] = wrapped(DATAGRAM);
  assert.equal(fault, undefined);
  assert.deepEqual([udp.sourcePort, udp.destinationPort, udp.length, udp.checksum], [40_000, 53, 13, 0x84ae]);
});

Deno.test("UDP view: rejects each truncation of the header, and of the data unless it is a first fragment", () => {
  for (let length = 0; length < DATAGRAM.length; length++) {
    assert.equal(wrapped(DATAGRAM.subarray(0, length))[0], "bad-length", `${length} bytes`);
  }
  assert.equal(wrapped(DATAGRAM.subarray(0, 8), { moreFragments: true })[0], undefined);
  assert.equal(wrapped(hex("9c40 0035 0007 0000"), { moreFragments: true })[0], "bad-length");
});

Deno.test("UDP view: accepts padding behind the datagram", () => {
  const [fault, udp] = wrapped(hex("9c40 0035 0008 84ae 7175"));
  assert.deepEqual([fault, udp.length], [undefined, UDP_HEADER]);
});

Deno.test("UDP view: accepts only datagrams that lie within the packet", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (payload) => {
    const [fault, udp] = wrapped(payload);
    if (fault === undefined) assert.ok(udp.length >= 8 && udp.length <= payload.length);
  }));
});

Deno.test("writeUdpHeader: writes the header that Linux writes, and nothing beside it", () => {
  const buffer = poisoned(DATAGRAM);
  buffer.bytes.fill(0xa5, buffer.start, buffer.start + UDP_HEADER);
  const from = { address: address("10.0.2.15"), port: 40_000 };
  const to = { address: address("128.30.2.155"), port: 53 };
  writeUdpHeader(buffer.view, buffer.start, buffer.end, from, to);
  assert.deepEqual(buffer.copy(), DATAGRAM);
  assertPoisonOutside(buffer, buffer.start, buffer.end);
});

Deno.test("writeUdpHeader: sends a computed 0 as all ones", () => {
  const buffer = poisoned(hex("0000 0000 0000 0000 54fe"));
  const from = { address: address("192.168.203.2"), port: 40_002 };
  writeUdpHeader(buffer.view, buffer.start, buffer.end, from, { address: address("128.30.2.155"), port: 53 });
  assert.deepEqual(buffer.copy(), hex("9c42 0035 000a ffff 54fe"));
});

Deno.test("UDP view: shows one packet after another", () => {
  const udp = new UdpView();
  const ip = new Ipv4View();
  for (const length of [0, 5, 1000]) {
    const packet = poisoned(
      ipv4(
        { protocol: 17 },
        Uint8Array.of(0, 1, 0, 2, (8 + length) >> 8, 8 + length, 0, 0, ...pattern(length)),
      ),
    );
    assert.equal(ip.wrap(packet), undefined);
    assert.equal(udp.wrap(packet, ip), undefined);
    assert.equal(udp.length, 8 + length);
    assert.equal(udp.data, packet.start + 28);
  }
});
