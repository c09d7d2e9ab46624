import assert from "node:assert/strict";
import { EventLines } from "../../src/log/classic.ts";
import { blankEvent, type Event, EventKind } from "../../src/trace/events.ts";
import { address, addressNumber } from "../../tests/support/packets.ts";
import { addressBits, addressFromBits } from "../../src/ip/address.ts";

const SOURCE = "10.5.51.2";
const lines = new EventLines();
const text = new TextDecoder();

function eventTo(destination: number): Event {
  return {
    ...blankEvent(),
    kind: EventKind.icmpFromTunnel,
    source: address(SOURCE),
    destination: addressFromBits(destination),
    detail: 8,
  };
}

for (const hosts of [1, 64, 1000]) {
  const first = addressNumber("10.5.60.1");
  const events = Array.from({ length: hosts }, (_, number) => eventTo(first + number));
  for (const event of events) {
    const { destination } = event;
    const octets = [24, 16, 8, 0].map((shift) => addressBits(destination) >>> shift & 255).join(".");
    const want = `ICMP from tunnel, src: ${SOURCE}, dst: ${octets}, type: 8\n`;
    assert.equal(text.decode(lines.of(event).copies(1)), want);
    assert.equal(text.decode(lines.of(event).copies(1)), want, "the second time, too");
  }

  let at = 0;
  Deno.bench(`a line of the log, ${hosts} ${hosts === 1 ? "host" : "hosts in turn"}`, () => {
    at = (at + 1) % hosts;
    if (lines.of(events[at]!).length < 40) throw new Error("no line");
  });
}
