import assert from "node:assert/strict";
import { blankEvent, type Event, EventKind, EventRing, ringBytes } from "../../src/trace/events.ts";
import { addressFromBits } from "../../src/ip/address.ts";

/** Events between two looks of the reader. */
const BURST = 64;

let lost = 0;
const memory = new SharedArrayBuffer(ringBytes());
const writer = new EventRing(memory, () => lost++);
const reader = new EventRing(memory);

/** What a turn of the packet thread does: as many events as packets, to so many hosts in turn. */
function emit(count: number, hosts: number): void {
  for (let number = 0; number < count; number++) {
    writer.emit(EventKind.icmpFromTunnel, addressFromBits(0x0a053302), addressFromBits(number % hosts), 8, 0);
  }
  writer.publish();
}

for (const hosts of [1, BURST]) {
  const seen: Event[] = [];
  emit(BURST, hosts);
  reader.drain((event) => seen.push({ ...event }));
  assert.deepEqual(
    seen,
    Array.from({ length: BURST }, (_, number) => {
      return { ...blankEvent(), source: 0x0a053302, destination: number % hosts, detail: 8 };
    }),
  );

  let told = 0;
  const take = (_: Readonly<Event>, times: number) => void (told += times);
  Deno.bench(`${BURST} events, ${hosts} ${hosts === 1 ? "host" : "hosts in turn"}: emit, and drain`, () => {
    told = 0;
    emit(BURST, hosts);
    reader.drainRuns(take);
    if (told !== BURST || lost > 0) throw new Error("events were lost");
  });
}

// A ring that nobody reads: what an event costs that is only counted.
const full = new EventRing(new SharedArrayBuffer(ringBytes(BURST)), () => lost++);
for (let number = 0; number < BURST; number++) {
  full.emit(EventKind.icmpFromTunnel, addressFromBits(0), addressFromBits(number), 8, 0);
}
assert.equal(lost, 0);
full.emit(EventKind.icmpFromTunnel, addressFromBits(0), addressFromBits(0), 8, 0);
assert.equal(lost, 1);
lost = 0;
Deno.bench("an event that does not fit", () => {
  full.emit(EventKind.icmpFromTunnel, addressFromBits(0), addressFromBits(0), 8, 0);
  lost = 0;
});
