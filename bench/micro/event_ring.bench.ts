import assert from "node:assert/strict";
import { addressBits, addressFromBits } from "../../src/ip/address.ts";
import type { EventRecord } from "../../src/trace/event_record.ts";
import { LOG } from "../../src/runtime/scheduling.ts";
import { EventRing, type Keeps, ringBytes } from "../../src/trace/event_ring.ts";
import { drainEvents, pingOf } from "../../tests/support/events.ts";

/** Events between two looks of the reader. */
const BURST = 64;
const SOURCE = addressFromBits(0x0a05_3302);

let lost = 0;
const countLost = () => lost++;

for (const keeps of ["lines", "packets"] as const satisfies Keeps[]) {
  const memory = new SharedArrayBuffer(ringBytes(LOG.records));
  const writer = new EventRing(memory, { keeps, lost: countLost });
  const reader = new EventRing(memory);
  for (const hosts of [1, BURST]) {
    const packets = Array.from({ length: BURST }, (_, number) => {
      return pingOf({ source: SOURCE, destination: addressFromBits(number % hosts), id: 1, seq: number });
    });
    /** A turn of the packet thread: one event a packet, to many hosts in turn. */
    const emit = () => {
      for (let number = 0; number < BURST; number++) writer.icmpFromTunnel(packets[number]!, number);
      writer.publish();
    };
    const seen: number[] = [];
    emit();
    drainEvents(reader, (event) => seen.push("destination" in event ? addressBits(event.destination) : -1));
    assert.deepEqual(seen, Array.from({ length: BURST }, (_, number) => number % hosts));

    let told = 0;
    const take = (_: EventRecord, times: number) => void (told += times);
    const to = hosts === 1 ? "host" : "hosts in turn";
    Deno.bench(`${BURST} events, ${hosts} ${to}, ${keeps} kept: emit, and drain`, () => {
      told = 0;
      emit();
      reader.drainRuns(take);
      if (told !== BURST || lost > 0) throw new Error("events were lost");
    });
  }
}

// A ring without a reader: the cost of an event that is only counted.
const full = new EventRing(new SharedArrayBuffer(ringBytes(BURST)), { lost: countLost });
for (let number = 0; number < BURST; number++) full.relaySealed(number, 1, 0, 0);
assert.equal(lost, 0);
full.relaySealed(0, 1, 0, 0);
assert.equal(lost, 1);
lost = 0;
Deno.bench("an event that does not fit", () => {
  full.relaySealed(0, 1, 0, 0);
  lost = 0;
});
