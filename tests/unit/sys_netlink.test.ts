import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeChange, parseEvents } from "../../src/sys/netlink.ts";
import { addressChange, mtuChange, upChange } from "../../src/sys/interface.ts";
import { concat, hex } from "../support/packets.ts";
import { addressFromBits } from "../../src/ip/address.ts";

/** What Linux 6.18 sent for these commands. The first is cut after the MTU. */
const HEARD = {
  "ip link set tun1 down": hex(`
    54000000 1000 0000 00000000 00000000  00 00 feff 04000000 90100000 01000000
    0900 0300 74756e3100000000  0800 0d00 f4010000  0500 1000 02000000  0500 1100 00000000  0500 4300 00000000
    0800 0400 78050000`),
  "ip address delete 10.5.51.2/24 dev tun1": hex(`
    50000000 1500 0000 0182076b 2b3e0000  02 18 80 00 04000000
    0800 0100 0a053302  0800 0200 0a053302  0900 0300 74756e3100000000  0800 0800 80000000
    1400 0600 ffffffff ffffffff f9a00100 f9a00100`),
  "ip route delete default table 901": hex(`
    2c000000 1900 0000 0182076b 2a3e0000  02 00 00 00 fc 03 fd 01 10000000
    0800 0f00 85030000  0800 0400 04000000`),
};

const down = HEARD["ip link set tun1 down"];

/** A message with some bytes changed, by offset. */
function but(message: Uint8Array, ...changes: [at: number, value: number][]): Uint8Array {
  return changes.reduce((bytes, [at, value]) => bytes.with(at, value), Uint8Array.from(message));
}

Deno.test("netlink: decodes a link going down, a removed address, and a removed route", () => {
  assert.deepEqual(parseEvents(down), [{
    kind: "link",
    name: "tun1",
    isUp: false,
    hasCarrier: false,
    mtu: 1400,
  }]);
  const address = HEARD["ip address delete 10.5.51.2/24 dev tun1"];
  assert.deepEqual(parseEvents(address), [{ kind: "address", name: "tun1" }]);
  assert.deepEqual(parseEvents(HEARD["ip route delete default table 901"]), [{
    kind: "default route",
    table: 901,
  }]);
});

Deno.test("netlink: decodes a link that is up, a removed one, and an address with a label", () => {
  assert.deepEqual(parseEvents(but(down, [24, 0x91])), [{
    kind: "link",
    name: "tun1",
    isUp: true,
    hasCarrier: false,
    mtu: 1400,
  }]);
  const gone = but(down, [24, 0x91], [4, 17]);
  assert.deepEqual(parseEvents(gone), [{
    kind: "link",
    name: "tun1",
    isUp: false,
    hasCarrier: false,
    mtu: 1400,
  }]);
  // Turns "tun1" into "tu:1".
  const labelled = but(HEARD["ip address delete 10.5.51.2/24 dev tun1"], [46, 0x3a]);
  assert.deepEqual(parseEvents(labelled), [{ kind: "address", name: "tu" }]);
});

Deno.test("netlink: decodes a new default route, and rules that come and go", () => {
  const added = but(HEARD["ip route delete default table 901"], [4, 24]);
  assert.deepEqual(parseEvents(added), [{ kind: "default route", table: 901 }]);
  for (const type of [32, 33]) assert.deepEqual(parseEvents(but(added, [4, type])), [{ kind: "rule" }]);
});

Deno.test("netlink: decodes all messages of a datagram, and skips other types", () => {
  const route = HEARD["ip route delete default table 901"];
  const added = but(route, [4, 24]);
  // To 10.0.0.0/8 instead: only its removal is told.
  const [narrowGone, narrow] = [but(route, [17, 8]), but(added, [17, 8])];
  assert.deepEqual(parseEvents(concat(route, added, narrowGone, narrow, down)).map(({ kind }) => kind), [
    "default route",
    "default route",
    "route",
    "link",
  ]);
  assert.deepEqual(parseEvents(but(down, [24, 0x91], [26, 1])), [
    { kind: "link", name: "tun1", isUp: true, hasCarrier: true, mtu: 1400 },
  ]);
});

Deno.test("netlink: decodes any bytes without failing", () => {
  const messages = Object.values(HEARD);
  const bent = fc.tuple(
    fc.constantFrom(...messages),
    fc.array(fc.tuple(fc.nat(83), fc.nat(255))),
    fc.nat(84),
  );
  fc.assert(
    fc.property(bent, ([message, changes, length]) => {
      const inside = changes.filter(([at]) => at < message.length);
      for (const { kind } of parseEvents(but(message, ...inside).subarray(0, length))) assert.ok(kind);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("netlink: encodes changes as ip(8) does", () => {
  const index = 9;
  // As strace(1) saw ip 6.1 send them, except for the sequence number.
  const asked = {
    "ip address add 10.5.51.2/24 dev tun9": [
      addressChange(index, addressFromBits(0x0a053302), 24),
      `28000000 1400 0506 00000000 00000000  02 18 00 00 09000000  0800 0200 0a053302  0800 0100 0a053302`,
    ],
    "ip address add 127.9.9.9/8 dev lo": [
      addressChange(1, addressFromBits(0x7f090909), 8),
      `28000000 1400 0506 00000000 00000000  02 08 00 fe 01000000  0800 0200 7f090909  0800 0100 7f090909`,
    ],
    "ip link set tun9 mtu 1392": [
      mtuChange(index, 1392),
      `28000000 1000 0500 00000000 00000000  00 00 0000 09000000 00000000 00000000  0800 0400 70050000`,
    ],
    "ip link set tun9 up": [
      upChange(index),
      `20000000 1000 0500 00000000 00000000  00 00 0000 09000000 01000000 01000000`,
    ],
  } as const;
  for (const [command, [change, bytes]] of Object.entries(asked)) {
    assert.deepEqual(encodeChange(change), hex(bytes), command);
  }
});

Deno.test("netlink: pads an attribute's value, but not its length", () => {
  const change = {
    message: ["RTM_NEWLINK", 16],
    body: new Uint8Array(16),
    attributes: [[3, Uint8Array.of(0x61, 0)], [4, Uint8Array.of(1, 2, 3, 4)]],
  } as const;
  assert.deepEqual(encodeChange(change).subarray(32), hex("0600 0300 6100 0000  0800 0400 01020304"));
});
