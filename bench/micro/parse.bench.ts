import assert from "node:assert/strict";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { address, readIpv4 } from "../../tests/support/packets.ts";
import { requestOf, SIZES } from "./packets.ts";

const ip = new Ipv4View();

for (const size of SIZES) {
  const packet = new PacketBuffer();
  packet.load(requestOf(size));

  assert.equal(ip.wrap(packet), undefined);
  const plain = readIpv4(packet.copy());
  assert.equal(ip.source, plain.source);
  assert.equal(ip.destination, address("10.5.51.7"));
  assert.equal(ip.end - ip.payload, plain.payload.length);
  // Changes the source, so that the header checksum is wrong.
  packet.view.setUint8(packet.start + 15, 3);
  assert.equal(ip.wrap(packet), "header-checksum");
  packet.load(requestOf(size));

  Deno.bench(`Ipv4View.wrap, ${size} bytes`, () => {
    if (ip.wrap(packet) !== undefined) throw new Error("a valid packet was refused");
  });
}
