import assert from "node:assert/strict";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { CellType, wrapCell } from "../../src/cell/cell.ts";
import { UdpLink } from "../../src/device/udp_link.ts";
import { compileCalls } from "../../src/sys/libc.ts";
import { UdpSocket } from "../../src/sys/udp.ts";
import { cell } from "../../tests/support/packets.ts";
import { requestOf, SIZES } from "./packets.ts";
import { LOOPBACK } from "../../src/ip/address.ts";

/** 127.0.0.1 */

compileCalls();
const [from, to] = [UdpSocket.bind(LOOPBACK, 4 << 20), UdpSocket.bind(LOOPBACK, 4 << 20)];
const sender = new UdpLink(from.fd.number, [{ address: LOOPBACK, port: to.localPort }]);
const receiver = new UdpLink(to.fd.number, [{ address: LOOPBACK, port: from.localPort }]);
const into = new PacketBuffer();

/**
 * Sends `count` cells, flushes them, and receives them at the other end. Returns how many arrived.
 */
function carry(packet: PacketBuffer, count: number): number {
  if (count > 1) sender.cork();
  for (let sent = 0; sent < count; sent++) sender.send(0, packet);
  if (sender.uncork() > 0) return 0;
  let came = 0;
  while (receiver.receive(into) === 0) came++;
  return came;
}

for (const size of SIZES) {
  const request = requestOf(size);
  const packet = new PacketBuffer();
  packet.load(request);
  wrapCell(packet, CellType.relayData, 1);

  for (const count of [1, 8, 64]) {
    assert.equal(carry(packet, count), count);
    assert.deepEqual(into.copy(), cell(CellType.relayData, 1, request));

    const cells = count === 1 ? "1 cell" : `${count} cells`;
    Deno.bench(
      `UDP train of ${cells}, ${size} bytes: send, receive`,
      { group: `${size} bytes` },
      () => {
        if (carry(packet, count) !== count) throw new Error("cells were lost");
      },
    );
  }
}
