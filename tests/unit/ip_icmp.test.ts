import assert from "node:assert/strict";
import fc from "fast-check";
import { addressFromBits } from "../../src/ip/address.ts";
import {
  echoIdentifier,
  echoRequest,
  echoSequence,
  icmpCode,
  icmpFault,
  IcmpType,
  icmpType,
  replaceEchoIdentifier,
  turnIntoEchoReply,
} from "../../src/ip/icmp.ts";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import {
  address,
  assertPoisonOutside,
  concat,
  echo,
  hex,
  ipv4,
  pattern,
  plainChecksum,
  poisoned,
  readIpv4,
} from "../support/packets.ts";

/** The first `ping` of Windows and its reply: identifier 1, sequence number 1, 32 letters. */
const LETTERS = new TextEncoder().encode("abcdefghijklmnopqrstuvwabcdefghi");
const REQUEST = concat(hex("08 00 4d5a 0001 0001"), LETTERS);
const REPLY = concat(hex("00 00 555a 0001 0001"), LETTERS);

const anyMessage = fc.record({
  code: fc.nat(255),
  id: fc.nat(0xffff),
  sequence: fc.nat(0xffff),
  data: fc.uint8Array({ maxLength: 100 }),
});

/** Messages of zeros, whose checksum RFC 1624 cannot update. */
const zeros = fc.record({ code: fc.constant(0), id: fc.constant(0), sequence: fc.constant(0) })
  .chain((fields) => fc.nat(20).map((length) => ({ ...fields, data: new Uint8Array(length) })));

/** The fault of a message in a whole packet or a first fragment. */
function faultOf(message: Uint8Array, header: { moreFragments?: boolean } = {}): string | undefined {
  const [packet, ip] = [poisoned(ipv4(header, message)), new Ipv4View()];
  assert.equal(ip.wrap(packet), undefined);
  return icmpFault(packet, ip);
}

Deno.test("ICMP: reads every field of a request", () => {
  const { view, start } = poisoned(REQUEST);
  assert.equal(faultOf(REQUEST), undefined);
  assert.equal(icmpType(view, start), IcmpType.echoRequest);
  assert.equal(icmpCode(view, start), 0);
  assert.equal(echoIdentifier(view, start), 1);
  assert.equal(echoSequence(view, start), 1);
});

Deno.test("ICMP: turns a request into its reply in place", () => {
  const buffer = poisoned(REQUEST);
  turnIntoEchoReply(buffer.view, buffer.start, buffer.end);
  assert.deepEqual(buffer.copy(), REPLY);
  assertPoisonOutside(buffer, buffer.start, buffer.end);
});

Deno.test("ICMP: a reply's updated checksum agrees with a new computation", () => {
  fc.assert(fc.property(fc.oneof(anyMessage, zeros), (message) => {
    const buffer = poisoned(echo(message));
    turnIntoEchoReply(buffer.view, buffer.start, buffer.end);
    assert.deepEqual(buffer.copy(), echo({ ...message, type: 0, code: 0 }));
    assert.equal(faultOf(buffer.copy()), undefined);
  }));
});

Deno.test("ICMP: a reply of zeros has the checksum ffff", () => {
  // `ping -e 0 -p 00`, sequence number 0: the request has only zeros behind its type.
  const buffer = poisoned(hex("08 00 f7ff 0000 0000 0000 0000"));
  turnIntoEchoReply(buffer.view, buffer.start, buffer.end);
  assert.deepEqual(buffer.copy(), hex("00 00 ffff 0000 0000 0000 0000"));
  assert.equal(faultOf(buffer.copy()), undefined);
});

Deno.test("ICMP: the updated checksum agrees with a new computation for any identifier", () => {
  const anyType = fc.constantFrom(IcmpType.echoRequest, IcmpType.echoReply);
  const anyIdentifier = fc.oneof(fc.constantFrom(0, 1, 0xffff), fc.nat(0xffff));
  fc.assert(fc.property(fc.oneof(anyMessage, zeros), anyType, anyIdentifier, (message, type, id) => {
    const buffer = poisoned(echo({ ...message, type, id: 7 }));
    replaceEchoIdentifier(buffer.view, buffer.start, buffer.end, id);
    assert.deepEqual(buffer.copy(), echo({ ...message, type, id }));
  }));
});

Deno.test("icmpFault: rejects each truncated message", () => {
  for (let length = 0; length < REQUEST.length; length++) {
    const want = length < 8 ? "bad-length" : "icmp-checksum";
    assert.equal(faultOf(REQUEST.subarray(0, length)), want, `${length} bytes`);
  }
});

Deno.test("icmpFault: rejects each flipped bit", () => {
  for (let bit = 0; bit < REQUEST.length * 8; bit++) {
    const buffer = poisoned(REQUEST);
    buffer.bytes[buffer.start + (bit >>> 3)]! ^= 0x80 >>> (bit & 7);
    assert.equal(faultOf(buffer.copy()), "icmp-checksum", `bit ${bit}`);
  }
});

Deno.test("icmpFault: ignores the checksum of a first fragment", () => {
  assert.equal(faultOf(REQUEST.subarray(0, 16)), "icmp-checksum");
  assert.equal(faultOf(REQUEST.subarray(0, 16), { moreFragments: true }), undefined);
});

Deno.test("echoRequest: makes a packet as ping sends it", () => {
  const data = pattern(56);
  const packet = readIpv4(echoRequest({
    source: address("10.5.51.2"),
    destination: address("10.5.51.7"),
    identifier: 0xbeef,
    sequence: 4711,
    data,
    ttl: 3,
  }));
  assert.deepEqual(packet.payload, echo({ id: 0xbeef, sequence: 4711, data }));
  const { source, destination, protocol, ttl, dontFragment, moreFragments, offset } = packet;
  assert.deepEqual(
    { source, destination, protocol, ttl, dontFragment, moreFragments, offset },
    {
      source: address("10.5.51.2"),
      destination: address("10.5.51.7"),
      protocol: 1,
      ttl: 3,
      dontFragment: false,
      moreFragments: false,
      offset: 0,
    },
  );
});

Deno.test("echoRequest: writes any fields with the right checksum", () => {
  fc.assert(fc.property(anyMessage, ({ id, sequence, data }) => {
    const { payload } = readIpv4(
      echoRequest({
        source: addressFromBits(1),
        destination: addressFromBits(2),
        identifier: id,
        sequence,
        data,
      }),
    );
    assert.deepEqual(payload, echo({ id, sequence, data }));
    const zeroed = payload.slice();
    zeroed.set([0, 0], 2);
    assert.equal(new DataView(payload.buffer, payload.byteOffset).getUint16(2), plainChecksum(zeroed));
  }));
});

Deno.test("echoRequest: takes up to 65,507 bytes of data", () => {
  const fields = {
    source: address("10.5.51.2"),
    destination: address("10.5.51.7"),
    identifier: 3,
    sequence: 4,
  };
  assert.equal(readIpv4(echoRequest({ ...fields, data: new Uint8Array(65_507) })).payload.length, 65_515);
  assert.throws(
    () => echoRequest({ ...fields, data: new Uint8Array(65_508) }),
    new RangeError("65508 bytes of data do not fit into a packet"),
  );
});
