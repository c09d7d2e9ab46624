import assert from "node:assert/strict";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { addressBits, addressFromBits, type IpAddress } from "../../src/ip/address.ts";
import { Ipv4View, Protocol } from "../../src/ip/ipv4.ts";
import { EventRing, type Keeps, ringBytes } from "../../src/trace/event_ring.ts";
import { type Event, EVENT_FIELDS } from "../../src/trace/event_record.ts";
import type { EventSink } from "../../src/trace/events.ts";
import { echo, ipv4 } from "../support/packets.ts";
import { drainEvents, eventNumber, pingOf, writeNumber } from "../support/events.ts";
import type { WriterOrder, WriterReport } from "../support/ring_writer.ts";

/** A ring whose reader and writer are one thread, and a count of lost events. */
function makeRing(
  records: number,
  { position = 0, keeps = "packets" }: { readonly position?: number; readonly keeps?: Keeps } = {},
): { ring: EventRing; lost: () => number } {
  let lost = 0;
  const ring = new EventRing(ringMemory(records, position), { keeps, lost: () => lost++ });
  return { ring, lost: () => lost };
}

/**
 * Memory of a ring that has carried `position` records: the first two words count those written and
 * read.
 */
function ringMemory(records: number, position = 0): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(ringBytes(records));
  new Int32Array(memory).fill(position, 0, 2);
  return memory;
}

function emit(ring: EventRing, ...numbers: readonly number[]): void {
  for (const n of numbers) writeNumber(ring, n);
}

/** The number of an event. Asserts every field. */
function numberOf(event: Event): number {
  assert.ok(event.kind === "relay-packet");
  const number = addressBits(event.source);
  assert.deepEqual(event, eventNumber(number));
  return number;
}

/** The numbers of the waiting events. */
function drain(ring: EventRing): number[] {
  const numbers: number[] = [];
  drainEvents(ring, (event) => numbers.push(numberOf(event)));
  return numbers;
}

/** The waiting events. */
function events(ring: EventRing): Event[] {
  const events: Event[] = [];
  drainEvents(ring, (event) => events.push(event));
  return events;
}

/** Keeps Deno alive, which a pending `Atomics.waitAsync` does not. */
function stayAlive(): Disposable {
  const timer = setInterval(() => {}, 2 ** 30);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** A view of a packet. */
function viewOf(bytes: Uint8Array): Ipv4View {
  const packet = new PacketBuffer();
  packet.load(bytes);
  const view = new Ipv4View();
  assert.equal(view.wrap(packet), undefined);
  return view;
}

const [A1, A2, A5, A9] = [1, 2, 5, 9].map(addressFromBits) as [IpAddress, IpAddress, IpAddress, IpAddress];
const [HIGH, HIGHER, HIGHEST] = [0x8000_0000, 0x8000_0001, 0xffff_ffff];
/** A ping whose addresses, identifier and sequence number use their highest bits. */
const PING = viewOf(
  ipv4(
    { source: "255.255.255.254", destination: "128.0.0.1" },
    echo({ type: 8, id: 0xffff, sequence: 0x8001 }),
  ),
);
const ADDRESS = addressFromBits(HIGHEST);
const PING_FIELDS = { source: addressFromBits(0xffff_fffe), destination: addressFromBits(HIGHER) };
const DETAILS = { length: 28, id: 0xffff, seq: 0x8001 };

/** An event of each kind: how a core reports it, and how the ring returns it. */
const EVENTS: readonly [tell: (sink: EventSink, now: number) => void, event: Record<string, unknown>][] = [
  [(sink, now) => sink.icmpFromTunnel(PING, now), {
    kind: "icmp-from-tunnel",
    ...PING_FIELDS,
    type: 8,
    ...DETAILS,
  }],
  [(sink, now) => sink.icmpFromPort(PING, 65_535, now), {
    kind: "icmp-from-port",
    port: 65_535,
    ...PING_FIELDS,
    type: 8,
    ...DETAILS,
  }],
  [(sink, now) => sink.icmpFromRawSocket(PING, ADDRESS, now), {
    kind: "icmp-from-raw-socket",
    ...PING_FIELDS,
    destination: ADDRESS,
    type: 8,
    ...DETAILS,
  }],
  [(sink, now) => sink.unknownCircuit(HIGHEST, 65_535, PING, now), {
    kind: "unknown-circuit",
    circuit: HIGHEST,
    port: 65_535,
    ...PING_FIELDS,
    ...DETAILS,
  }],
  [(sink, now) => sink.hop(6, 5, now), { kind: "hop", hop: 6, router: 5 }],
  [(sink, now) => sink.newExtend(HIGHEST, HIGH, 65_535, now), {
    kind: "new-extend",
    incoming: HIGHEST,
    outgoing: HIGH,
    port: 65_535,
  }],
  [(sink, now) => sink.forwardExtend(HIGH, HIGHEST, 1, now), {
    kind: "forward-extend",
    incoming: HIGH,
    outgoing: HIGHEST,
    port: 1,
  }],
  [(sink, now) => sink.extendDone(HIGHEST, 65_535, now), {
    kind: "extend-done",
    incoming: HIGHEST,
    port: 65_535,
  }],
  [(sink, now) => sink.relayPacket(PING, HIGH, HIGHEST, ADDRESS, now), {
    kind: "relay-packet",
    incoming: HIGH,
    outgoing: HIGHEST,
    ...PING_FIELDS,
    newSource: ADDRESS,
    ...DETAILS,
  }],
  [(sink, now) => sink.outgoingPacket(PING, HIGH, ADDRESS, now), {
    kind: "outgoing-packet",
    incoming: HIGH,
    ...PING_FIELDS,
    newSource: ADDRESS,
    ...DETAILS,
  }],
  [(sink, now) => sink.packetFromWorld(PING, ADDRESS, HIGH, now), {
    kind: "packet-from-world",
    ...PING_FIELDS,
    destination: ADDRESS,
    outgoing: HIGH,
    ...DETAILS,
  }],
  [(sink, now) => sink.relayReply(PING, HIGH, HIGHEST, ADDRESS, now), {
    kind: "relay-reply",
    incoming: HIGH,
    outgoing: HIGHEST,
    ...PING_FIELDS,
    newDestination: ADDRESS,
    ...DETAILS,
  }],
  [(sink, now) => sink.relaySealed(HIGH, HIGHEST, 65_535, now), {
    kind: "relay-sealed",
    incoming: HIGH,
    outgoing: HIGHEST,
    length: 65_535,
  }],
  [(sink, now) => sink.relayReplySealed(HIGHEST, HIGH, 1, now), {
    kind: "relay-reply-sealed",
    incoming: HIGHEST,
    outgoing: HIGH,
    length: 1,
  }],
  [(sink, now) => sink.incomingPacket(PING, HIGHEST, now), {
    kind: "incoming-packet",
    incoming: HIGHEST,
    ...PING_FIELDS,
    ...DETAILS,
  }],
];

Deno.test("event ring: returns an event of each kind with every bit of every field, and its own time", () => {
  assert.deepEqual(EVENTS.map(([, { kind }]) => kind), Object.keys(EVENT_FIELDS));
  // The second round reuses the memory, so that no field is left over from another kind.
  const { ring } = makeRing(16);
  for (const order of [EVENTS, EVENTS.toReversed()]) {
    order.forEach(([tell], index) => tell(ring, 1e9 + index / 7));
    assert.deepEqual(events(ring), order.map(([, event], index) => ({ ...event, time: 1e9 + index / 7 })));
  }
});

Deno.test("event ring: keeps circuits, or lines too, or the details of packets too", () => {
  const { ring: lines } = makeRing(16, { keeps: "lines" });
  const { ring: circuits } = makeRing(16, { keeps: "circuits" });
  for (const [tell] of EVENTS) {
    tell(lines, 1);
    tell(circuits, 2);
  }
  const { length: _, id: __, seq: ___, ...none } = DETAILS;
  assert.deepEqual(
    events(lines),
    EVENTS.map(([, { length: _, id: __, seq: ___, ...event }]) => ({ ...event, ...none, time: 1 })),
  );
  const aboutCircuits = ["hop", "new-extend", "forward-extend", "extend-done"];
  assert.deepEqual(
    events(circuits),
    EVENTS.flatMap(([, event]) =>
      aboutCircuits.includes(event.kind as string) ? [{ ...event, time: 2 }] : []
    ),
  );
});

Deno.test("event ring: keeps the ports of TCP and UDP, if the packet holds them", () => {
  const ports = Uint8Array.of(0xff, 0xfe, 0x00, 0x35, 1, 2, 3, 4);
  const cases: [what: string, packet: Uint8Array, details: Record<string, number>][] = [
    ["UDP", ipv4({ protocol: Protocol.udp }, ports), { length: 28, sourcePort: 0xfffe, destinationPort: 53 }],
    ["TCP", ipv4({ protocol: Protocol.tcp }, ports), { length: 28, sourcePort: 0xfffe, destinationPort: 53 }],
    ["a first fragment", ipv4({ protocol: Protocol.udp, moreFragments: true }, ports), {
      length: 28,
      sourcePort: 0xfffe,
      destinationPort: 53,
    }],
    ["a later fragment", ipv4({ protocol: Protocol.udp, offset: 8 }, ports), { length: 28 }],
    ["a short datagram", ipv4({ protocol: Protocol.udp }, ports.subarray(0, 3)), { length: 23 }],
    ["an echo reply", ipv4({}, echo({ type: 0, id: 0, sequence: 7 })), { length: 28, id: 0, seq: 7 }],
    ["an ICMP error", ipv4({}, echo({ type: 11 })), { length: 28 }],
    ["a short ICMP message", ipv4({}, echo().subarray(0, 7)), { length: 27 }],
    ["another protocol", ipv4({ protocol: 89 }, ports), { length: 28 }],
  ];
  for (const [what, packet, details] of cases) {
    const { ring } = makeRing(1);
    ring.incomingPacket(viewOf(packet), 1, 0);
    const [{ kind: _, time: __, incoming: ___, source: ____, destination: _____, ...rest }] = events(
      ring,
    ) as [Event & { readonly kind: "incoming-packet" }];
    assert.deepEqual(rest, details, what);
  }
});

Deno.test("event ring: reports an event lost if it is full, and keeps those before it", () => {
  const { ring, lost } = makeRing(4);
  emit(ring, 0, 1, 2, 3);
  assert.equal(lost(), 0);
  emit(ring, 4, 5);
  assert.equal(lost(), 2);
  assert.deepEqual(drain(ring), [0, 1, 2, 3]);
  emit(ring, 6);
  assert.deepEqual(drain(ring), [6]);
  assert.equal(lost(), 2);
});

Deno.test("event ring: keeps the order when it wraps around", () => {
  const { ring, lost } = makeRing(8);
  let next = 0;
  for (let round = 0; round < 200; round++) {
    const numbers = Array.from({ length: 1 + round % 8 }, () => next++);
    emit(ring, ...numbers);
    assert.deepEqual(drain(ring), numbers);
  }
  assert.equal(lost(), 0);
});

Deno.test("event ring: loses and doubles nothing when its counts wrap around at 31 bits", () => {
  for (const position of [2 ** 31 - 3, 2 ** 31 - 1]) {
    const { ring, lost } = makeRing(4, { position });
    assert.deepEqual(drain(ring), []);
    emit(ring, 0, 1, 2, 3, 4);
    assert.equal(lost(), 1, "full across the wrap");
    assert.deepEqual(drain(ring), [0, 1, 2, 3]);
    for (let n = 5; n < 20; n++) {
      emit(ring, n);
      assert.deepEqual(drain(ring), [n]);
    }
    assert.equal(lost(), 1);
  }
});

/** The numbers of the waiting events, and how many of each share a record. */
function drainRuns(ring: EventRing): [number: number, times: number][] {
  const runs: [number, number][] = [];
  ring.drainRuns((record, times) => {
    const event = record.decode();
    assert.ok(event.kind === "relay-packet");
    runs.push([addressBits(event.source), times]);
  });
  return runs;
}

Deno.test("event ring: shows the reader only published events", () => {
  const memory = ringMemory(8);
  const [writer, reader] = [new EventRing(memory, { keeps: "packets" }), new EventRing(memory)];
  emit(writer, 0, 1);
  assert.deepEqual(drain(reader), []);
  writer.publish();
  emit(writer, 2);
  assert.deepEqual(drain(reader), [0, 1]);
  writer.wake();
  assert.deepEqual(drain(reader), [2]);
});

Deno.test("event ring: merges events with the same line, although ids, lengths and times differ", () => {
  const { ring } = makeRing(8, { keeps: "lines" });
  const packets = [1, 2, 3].map((seq) =>
    pingOf({ source: A1, destination: A2, length: 28 + seq, id: seq, seq })
  );
  packets.forEach((packet, time) => ring.icmpFromTunnel(packet, time));
  const runs: [Event, number][] = [];
  ring.drainRuns((record, times) => runs.push([record.decode(), times]));
  assert.deepEqual(runs, [[{ kind: "icmp-from-tunnel", time: 0, source: A1, destination: A2, type: 8 }, 3]]);
});

Deno.test("event ring: merges events whose fields use their highest bits", () => {
  for (const [tell, { kind }] of EVENTS) {
    const { ring } = makeRing(8, { keeps: "lines" });
    for (let time = 0; time < 3; time++) tell(ring, time);
    const times: number[] = [];
    ring.drainRuns((_, repeated) => times.push(repeated));
    assert.deepEqual(times, [3], String(kind));
  }
});

Deno.test("event ring: merges nothing when it keeps packets", () => {
  const { ring } = makeRing(8);
  emit(ring, 0, 0, 1);
  assert.deepEqual(drainRuns(ring), [[0, 1], [0, 1], [1, 1]]);
});

Deno.test("event ring: merges events in a row into one record, and returns as many as there were", () => {
  const numbers = [0, 0, 0, 1, 0, 2, 2];
  const { ring, lost } = makeRing(8, { keeps: "lines" });
  emit(ring, ...numbers);
  assert.deepEqual(events(ring).map((event) => "source" in event && addressBits(event.source)), numbers);
  emit(ring, ...numbers);
  assert.deepEqual(drainRuns(ring), [[0, 3], [1, 1], [0, 1], [2, 2]]);
  assert.equal(lost(), 0);
});

Deno.test("event ring: a reader lets others run after every 64 records", () => {
  const { ring } = makeRing(256);
  emit(ring, ...Array.from({ length: 160 }, (_, number) => number));
  const done: string[] = [];
  ring.drainRuns((record) => done.push(String(numberOf(record.decode()))), {
    every: 64,
    take: () => done.push("breath"),
  });
  assert.deepEqual(done.flatMap((what, index) => what === "breath" ? [index] : []), [64, 129]);
  assert.equal(done.length, 162);
});

Deno.test("event ring: does not merge events that differ in one field", () => {
  const [one, from, to] = [[A1, A2], [A9, A2], [A1, A9]].map(([source, destination]) =>
    pingOf({ source: source!, destination: destination! })
  ) as [Ipv4View, Ipv4View, Ipv4View];
  const answer = viewOf(ipv4({ source: "0.0.0.1", destination: "0.0.0.2" }, echo({ type: 0 })));
  const { ring } = makeRing(16, { keeps: "lines" });
  ring.relayPacket(one, 3, 4, A5, 0);
  ring.relayPacket(from, 3, 4, A5, 0);
  ring.relayPacket(one, 3, 4, A5, 0);
  ring.relayPacket(to, 3, 4, A5, 0);
  ring.relayPacket(to, 9, 4, A5, 0);
  ring.relayPacket(to, 9, 9, A5, 0);
  ring.relayPacket(to, 9, 9, A9, 0);
  ring.relayReply(to, 9, 9, A9, 0);
  ring.icmpFromPort(one, 1, 0);
  ring.icmpFromPort(one, 2, 0);
  ring.icmpFromPort(answer, 2, 0);
  const times: number[] = [];
  ring.drainRuns((_, repeated) => times.push(repeated));
  assert.deepEqual(times, Array(11).fill(1));
});

Deno.test("event ring: does not merge into a published record", () => {
  const { ring, lost } = makeRing(2, { keeps: "lines" });
  for (const _ of [1, 2, 3]) {
    emit(ring, 7);
    ring.publish();
  }
  assert.equal(lost(), 1);
  assert.deepEqual(drainRuns(ring), [[7, 1], [7, 1]]);
});

Deno.test("event ring: continues a run in the next record when the count is at its max", () => {
  const { ring } = makeRing(4, { keeps: "lines" });
  for (let n = 0; n < 258; n++) emit(ring, HIGHEST);
  assert.deepEqual(drainRuns(ring), [[HIGHEST, 256], [HIGHEST, 2]]);
});

Deno.test("event ring: leaves events that arrive during a drain for the next one", () => {
  const { ring } = makeRing(8);
  emit(ring, 0, 1);
  const seen: number[] = [];
  drainEvents(ring, (event) => {
    const number = numberOf(event);
    seen.push(number);
    if (number < 2) emit(ring, number + 10);
  });
  assert.deepEqual(seen, [0, 1]);
  assert.deepEqual(drain(ring), [10, 11]);
});

Deno.test("event ring: hands the same events over again after a reader failed", () => {
  const { ring } = makeRing(8);
  emit(ring, 0, 1);
  assert.throws(() => {
    drainEvents(ring, () => {
      throw new Error("disk full");
    });
  }, /disk full/);
  assert.deepEqual(drain(ring), [0, 1]);
});

Deno.test("event ring: only a wake since the last drain ends a sleep", async () => {
  using _ = stayAlive();
  const { ring } = makeRing(8);
  let woken = 0;
  const sleep = () => ring.untilWoken().then(() => void woken++);
  const asleep = sleep();
  emit(ring, 0);
  ring.publish();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(woken, 0, "publishing alone does not wake");
  ring.wake();
  await asleep;
  await ring.untilWoken(); // the first wake is still pending
  assert.deepEqual(drain(ring), [0]);
  const stopped = sleep();
  ring.wake(); // without an event
  await stopped;
  assert.deepEqual(drain(ring), []);
  ring.wake();
  await ring.untilWoken();
});

Deno.test("event ring: tells its writer how much is new for the reader", () => {
  for (const position of [0, 2 ** 31 - 1 - 3]) {
    const memory = ringMemory(16, position);
    const [writer, reader] = [new EventRing(memory, { keeps: "packets" }), new EventRing(memory)];
    const told: [hasNews: boolean, fill: number][] = [];
    for (let number = 0; number < 5; number++) {
      emit(writer, number);
      writer.publish();
      told.push([writer.hasNews, writer.fill]);
    }
    assert.deepEqual(told, [1, 2, 3, 4, 5].map((count) => [true, count / 16]));
    writer.wake();
    assert.deepEqual([writer.hasNews, writer.fill], [false, 0]);
    emit(writer, 5);
    assert.equal(writer.hasNews, false, "not published yet");
    writer.wake();
    assert.equal(writer.hasNews, false);
    assert.deepEqual(drain(reader), [0, 1, 2, 3, 4, 5]);
  }
});

/** A Worker that writes events, and its report. */
class Writer implements Disposable {
  readonly done: Promise<WriterReport>;
  readonly #worker = new Worker(new URL("../support/ring_writer.ts", import.meta.url), { type: "module" });

  constructor(order: WriterOrder) {
    const { promise, resolve, reject } = Promise.withResolvers<WriterReport>();
    this.#worker.onmessage = ({ data }: MessageEvent<WriterReport>) => resolve(data);
    this.#worker.onerror = ({ message }) => reject(new Error(message));
    this.done = promise;
    this.#worker.postMessage(order);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

Deno.test("event ring: with a fast writer in another thread, every event is read once in order or counted lost", async () => {
  const events = 100_000;
  for (const position of [0, 2 ** 31 - 1000]) {
    const memory = ringMemory(256, position);
    using writer = new Writer({ ring: memory, events, burst: 64 });
    const ring = new EventRing(memory);
    let read = 0;
    let last = -1;
    const take = (event: Event) => {
      const number = numberOf(event);
      assert.ok(number > last, `${number} after ${last}`);
      last = number;
      read++;
    };
    const { promise: over, resolve } = Promise.withResolvers<WriterReport>();
    let report: WriterReport | undefined;
    void writer.done.then((said) => {
      report = said;
      ring.wake(); // as at the end of a run, so that the reader does not sleep on
      resolve(said);
    });
    while (report === undefined) {
      await ring.untilWoken();
      drainEvents(ring, take);
    }
    drainEvents(ring, take);
    const { lost } = await over;
    assert.equal(read + lost, events);
    assert.ok(read >= 256, "at least a full ring");
  }
});

Deno.test("event ring: loses no wake, even if the writer waits for the reader before each event", async () => {
  const events = 5000;
  const memory = ringMemory(256);
  const taken = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  using writer = new Writer({ ring: memory, events, burst: 1, taken });
  const ring = new EventRing(memory);
  const count = new Int32Array(taken);
  for (let read = 0; read < events;) {
    await ring.untilWoken();
    drainEvents(ring, (event) => assert.equal(numberOf(event), read++));
    Atomics.store(count, 0, read);
    Atomics.notify(count, 0);
  }
  assert.equal((await writer.done).lost, 0);
});
