import assert from "node:assert/strict";
import { blankEvent, type Event, EventKind, EventRing, ringBytes } from "../../src/trace/events.ts";

/** Events between two looks of the reader. */
const BURST = 64;

let lost = 0;
const memory = new SharedArrayBuffer(ringBytes());
const writer = new EventRing(memory, () => lost++);
const reader = new EventRing(memory);

function emit(count: number): void {
  for (let number = 0; number < count; number++) {
    writer.emit(EventKind.icmpFromTunnel, 0x0a053302, number, 8, 0);
  }
}

const seen: Event[] = [];
emit(BURST);
reader.drain((event) => seen.push({ ...event }));
assert.deepEqual(
  seen,
  Array.from({ length: BURST }, (_, number) => {
    return { ...blankEvent(), source: 0x0a053302, destination: number, detail: 8 };
  }),
);

let sum = 0;
const take = ({ destination }: Readonly<Event>) => {
  sum += destination;
};
Deno.bench(`${BURST} events: emit, and drain`, () => {
  sum = 0;
  emit(BURST);
  reader.drain(take);
  if (sum !== BURST * (BURST - 1) / 2 || lost > 0) throw new Error("events were lost");
});

// A ring that nobody reads: what an event costs that is only counted.
const full = new EventRing(new SharedArrayBuffer(ringBytes(BURST)), () => lost++);
for (let number = 0; number < BURST; number++) full.emit(EventKind.icmpFromTunnel, 0, 0, 8, 0);
assert.equal(lost, 0);
full.emit(EventKind.icmpFromTunnel, 0, 0, 8, 0);
assert.equal(lost, 1);
lost = 0;
Deno.bench("an event that does not fit", () => {
  full.emit(EventKind.icmpFromTunnel, 0, 0, 8, 0);
  lost = 0;
});
