import assert from "node:assert/strict";
import { parsePing } from "../../bench/ping.ts";

// Printed by ping of iputils 20221126.

Deno.test("parsePing: round trips in µs, and the summary", () => {
  const text = `PING 10.5.51.7 (10.5.51.7) 56(84) bytes of data.
64 bytes from 10.5.51.7: icmp_seq=1 ttl=64 time=0.725 ms
64 bytes from 10.5.51.7: icmp_seq=2 ttl=64 time=1.25 ms
64 bytes from 10.5.51.7: icmp_seq=3 ttl=64 time=0.078 ms

--- 10.5.51.7 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 48ms
rtt min/avg/max/mdev = 0.078/0.684/1.250/0.302 ms
`;
  assert.deepEqual(parsePing(text), {
    sent: 3,
    received: 3,
    duplicates: 0,
    roundTrips: [725, 1250, 78],
    mean: 684,
  });
});

Deno.test("parsePing: a flood prints no lines, only the summary", () => {
  const text = `PING 10.5.51.7 (10.5.51.7) 56(84) bytes of data.

--- 10.5.51.7 ping statistics ---
500 packets transmitted, 498 received, 0.4% packet loss, time 31ms
rtt min/avg/max/mdev = 0.020/0.047/0.164/0.012 ms, ipg/ewma 0.062/0.045 ms
`;
  assert.deepEqual(parsePing(text), { sent: 500, received: 498, duplicates: 0, roundTrips: [], mean: 47 });
});

Deno.test("parsePing: counts duplicates apart from round trips", () => {
  const text = `64 bytes from 10.5.51.7: icmp_seq=1 ttl=64 time=0.100 ms
64 bytes from 10.5.51.7: icmp_seq=1 ttl=64 time=0.200 ms (DUP!)

--- 10.5.51.7 ping statistics ---
1 packets transmitted, 1 received, +1 duplicates, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.100/0.150/0.200/0.050 ms
`;
  assert.deepEqual(parsePing(text), { sent: 1, received: 1, duplicates: 1, roundTrips: [100], mean: 150 });
});

Deno.test("parsePing: no reply", () => {
  const text = `--- 10.5.51.7 ping statistics ---
3 packets transmitted, 0 received, 100% packet loss, time 46ms

`;
  assert.deepEqual(parsePing(text), { sent: 3, received: 0, duplicates: 0, roundTrips: [], mean: undefined });
});

Deno.test("parsePing: rejects other output", () => {
  assert.throws(() => parsePing("hello"), new Error("ping printed no summary: hello"));
});
