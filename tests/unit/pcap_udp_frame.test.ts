import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_UDP_PAYLOAD, readUdpFrame, udpFrame } from "../../src/pcap/udp_frame.ts";
import { address, concat, hex, ipv4, pattern, plainSum, readIpv4 } from "../support/packets.ts";
import { addressFromBits, UNSPECIFIED } from "../../src/ip/address.ts";

const anyEnd = fc.record(
  { address: fc.integer({ min: 0, max: 0xffff_ffff }).map(addressFromBits), port: fc.nat(0xffff) },
  { noNullPrototype: true },
);

/**
 * The sum over pseudo header, UDP header and payload (RFC 768): all ones where the checksum is
 * right.
 */
function plainUdpSum(packet: Uint8Array): number {
  const udp = packet.subarray(20);
  const length = Uint8Array.of(udp.length >>> 8, udp.length & 0xff);
  return plainSum(concat(packet.subarray(12, 20), Uint8Array.of(0, 17), length, udp));
}

Deno.test("UDP frame: golden datagram of text2pcap", () => {
  const frame = udpFrame(
    { address: address("10.9.0.1"), port: 5000 },
    { address: address("10.9.0.2"), port: 5001 },
    hex("51000000 00000001 70696e67"),
  );
  // text2pcap (Wireshark 4.0.17), but for identification 0x1234, TTL 255 and no DF in a header of
  // its own.
  assert.deepEqual(frame.subarray(20), hex("13881389 001494ce 51000000 00000001 70696e67"));
  assert.deepEqual(frame.subarray(0, 20), hex("45000028 00004000 4011 26b1 0a090001 0a090002"));
});

Deno.test("UDP frame: valid checksums for any payload and ends", () => {
  fc.assert(fc.property(anyEnd, anyEnd, fc.uint8Array({ maxLength: 64 }), (from, to, payload) => {
    const frame = udpFrame(from, to, payload);
    const ip = readIpv4(frame);
    assert.deepEqual([ip.source, ip.destination, ip.protocol], [from.address, to.address, 17]);
    const udp = new DataView(frame.buffer, 20);
    assert.deepEqual([udp.getUint16(0), udp.getUint16(2)], [from.port, to.port]);
    assert.equal(udp.getUint16(4), 8 + payload.length);
    assert.equal(plainUdpSum(frame), 0xffff);
    assert.deepEqual(frame.subarray(28), payload);
  }));
});

Deno.test("UDP frame: writes a checksum of 0 as 0xffff", () => {
  const ends = { address: UNSPECIFIED, port: 0 };
  // Protocol 17, and length 10 twice: with these 2 bytes, everything sums up to 0xffff.
  const frame = udpFrame(ends, ends, hex("ffda"));
  assert.deepEqual(frame.subarray(20), hex("0000 0000 000a ffff ffda"));
});

Deno.test("UDP frame: takes the max payload and rejects a longer one", () => {
  const ends = { address: address("10.9.0.1"), port: 5000 };
  const longest = udpFrame(ends, ends, pattern(MAX_UDP_PAYLOAD));
  assert.equal(longest.length, 65_535);
  readIpv4(longest);
  assert.equal(plainUdpSum(longest), 0xffff);
  assert.throws(
    () => udpFrame(ends, ends, pattern(MAX_UDP_PAYLOAD + 1)),
    new RangeError("cannot put 65508 bytes into a UDP datagram"),
  );
});

Deno.test("UDP frame: round trip", () => {
  fc.assert(fc.property(anyEnd, anyEnd, fc.uint8Array({ maxLength: 64 }), (from, to, payload) => {
    assert.deepEqual(readUdpFrame(udpFrame(from, to, payload)), {
      from,
      to,
      payload: Uint8Array.from(payload),
    });
  }));
});

Deno.test("UDP frame: returns undefined for anything but a whole datagram", () => {
  const ends = { address: address("10.9.0.1"), port: 5000 };
  const frame = udpFrame(ends, ends, pattern(8));
  for (let length = 0; length < frame.length; length++) {
    assert.equal(readUdpFrame(frame.subarray(0, length)), undefined, `${length}`);
  }
  const udp = frame.subarray(20);
  assert.equal(readUdpFrame(ipv4({ protocol: 6 }, udp)), undefined);
  assert.equal(readUdpFrame(ipv4({ protocol: 17, moreFragments: true }, udp)), undefined);
  assert.equal(readUdpFrame(ipv4({ protocol: 17 }, udp.subarray(0, 7))), undefined);
  assert.equal(readUdpFrame(ipv4({ protocol: 17 }, udp.subarray(0, 15))), undefined, "its length says 16");
});
