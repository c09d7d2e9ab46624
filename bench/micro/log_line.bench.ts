import assert from "node:assert/strict";
import { addressFromBits, formatIp } from "../../src/ip/address.ts";
import { EventLines } from "../../src/log/classic.ts";
import { EventRecord } from "../../src/trace/event_record.ts";
import { EventRing, ringBytes } from "../../src/trace/event_ring.ts";
import { address, addressNumber } from "../../tests/support/packets.ts";
import { pingOf } from "../../tests/support/events.ts";

const SOURCE = "10.5.51.2";
const lines = new EventLines();
const text = new TextDecoder();

for (const hosts of [1, 64, 1000]) {
  const first = addressNumber("10.5.60.1");
  const memory = new ArrayBuffer(ringBytes(1024));
  const ring = new EventRing(memory);
  for (let number = 0; number < hosts; number++) {
    ring.icmpFromTunnel(pingOf({ source: address(SOURCE), destination: addressFromBits(first + number) }), 0);
  }
  let number = 0;
  ring.drainRuns((record) => {
    const want = `ICMP from tunnel, src: ${SOURCE}, dst: ${
      formatIp(addressFromBits(first + number++))
    }, type: 8\n`;
    assert.equal(text.decode(lines.of(record).copies(1)), want);
    assert.equal(text.decode(lines.of(record).copies(1)), want, "the second time, too");
  });
  assert.equal(number, hosts);

  const start = ringBytes(0) / Int32Array.BYTES_PER_ELEMENT;
  const step = ringBytes(1) / Int32Array.BYTES_PER_ELEMENT - start;
  const record = new EventRecord(memory);
  let at = 0;
  Deno.bench(`a line of the log, ${hosts} ${hosts === 1 ? "host" : "hosts in turn"}`, () => {
    at = (at + 1) % hosts;
    record.moveTo(start + at * step);
    if (lines.of(record).length < 40) throw new Error("no line");
  });
}
