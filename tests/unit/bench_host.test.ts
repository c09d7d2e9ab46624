import assert from "node:assert/strict";
import { parsePacketsSent } from "../../bench/net_dev.ts";
import { readPids } from "../../bench/netns.ts";
import { parseVersion } from "../../bench/peers.ts";

// As Linux 6.1 writes it.
const NET_DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:   15172     232    0    0    0     0          0         0    15172     232    0    0    0     0       0          0
 veth0: 1056926   12584    0    0    0     0          0         0  1056970   12585    0    0    0     0       0          0
eth0:9        8    7    6    5     4          3         2 1  17    0    0    0     0       0          0
`;

Deno.test("parsePacketsSent: reads the packets sent of a device", () => {
  assert.equal(parsePacketsSent(NET_DEV, "veth0"), 12585);
  assert.equal(parsePacketsSent(NET_DEV, "lo"), 232);
  assert.equal(parsePacketsSent(NET_DEV, "eth0"), 17);
});

Deno.test("parsePacketsSent: rejects an unknown device, even with the same prefix", () => {
  assert.throws(() => parsePacketsSent(NET_DEV, "veth"), new Error("There is no device veth"));
});

Deno.test("readPids: one per line, or none", () => {
  assert.deepEqual(readPids("12\n345\n"), [12, 345]);
  assert.deepEqual(readPids(""), []);
});

Deno.test("parseVersion: finds the first number with a dot", () => {
  const cases = [
    ["wireguard-go v0.0.20220316\n\nUserspace WireGuard daemon for linux-amd64.\n", "0.0.20220316"],
    ["Tor version 0.4.9.11.\nThis build of Tor …\n", "0.4.9.11"],
    ["", "of unknown version"],
  ] as const;
  for (const [text, want] of cases) assert.equal(parseVersion(text), want);
});
