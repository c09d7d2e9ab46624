import assert from "node:assert/strict";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { EchoExit } from "../../src/exit/echo/core.ts";
import { Counters, COUNTERS_BYTES } from "../../src/trace/counters.ts";
import { SILENT } from "../../src/trace/events.ts";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { address } from "../../tests/support/packets.ts";
import { replyOf, requestOf, SIZES } from "./packets.ts";

let delivered: PacketBuffer | undefined;
const exit = new EchoExit(
  { address: address("10.5.51.2"), prefix: 24 },
  (_, packet) => void (delivered = packet),
  { counters: new Counters(new ArrayBuffer(COUNTERS_BYTES)), events: SILENT },
);
const ip = new Ipv4View();

for (const size of SIZES) {
  const packet = new PacketBuffer();
  const request = requestOf(size);
  const answer = () => {
    packet.load(request);
    ip.wrap(packet);
    exit.send(1, packet, ip, 0);
  };

  answer();
  assert.deepEqual(delivered?.copy(), replyOf(size));

  // A reply is made in place, so each starts from the request. The bench beside it has that cost.
  Deno.bench(`request copied and checked, ${size} bytes`, { group: `${size} bytes`, baseline: true }, () => {
    packet.load(request);
    ip.wrap(packet);
  });
  Deno.bench(`the same, and turned into a reply, ${size} bytes`, { group: `${size} bytes` }, answer);
}
