import assert from "node:assert/strict";
import { type Event, EventKind, EventRing, ringBytes, withoutPackets } from "../../src/trace/events.ts";
import { event, EventMemory } from "../support/events.ts";
import { eventNumber, type WriterOrder, type WriterReport } from "../support/ring_writer.ts";
import { addressBits, addressFromBits, formatIp } from "../../src/ip/address.ts";

/** A ring in one thread, and what got lost. */
function makeRing(records: number, position = 0): { ring: EventRing; lost: () => number } {
  let lost = 0;
  const ring = new EventRing(ringMemory(records, position), () => lost++);
  return { ring, lost: () => lost };
}

/** Memory of a ring that has already carried `position` records: the first two words count written and read. */
function ringMemory(records: number, position = 0): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(ringBytes(records));
  new Int32Array(memory).fill(position, 0, 2);
  return memory;
}

function emit(ring: EventRing, ...numbers: readonly number[]): void {
  for (const n of numbers) ring.emit(EventKind.icmpFromTunnel, ...eventNumber(n));
}

/** The numbers of the events that wait; each field is looked at. */
function drain(ring: EventRing): number[] {
  const numbers: number[] = [];
  ring.drain(({ source, destination, detail, port, incoming, outgoing, rewritten }) => {
    const fields = [source, destination, detail, port, incoming, outgoing, rewritten];
    assert.deepEqual(fields, eventNumber(addressBits(source)));
    numbers.push(addressBits(source));
  });
  return numbers;
}

/** Until a promise of `Atomics.waitAsync` resolves, Deno does not count it as something to stay alive for. */
function stayAlive(): Disposable {
  const timer = setInterval(() => {}, 2 ** 30);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

Deno.test("an event comes out as it went in, every field to its last bit", () => {
  const { ring } = makeRing(8);
  const events: Event[] = [
    event(EventKind.icmpFromTunnel, {
      source: addressFromBits(0x0a05_3302),
      destination: addressFromBits(0x0a05_3307),
      detail: 8,
    }),
    event(EventKind.unknownCircuit, { detail: 0xffff_ffff, port: 65_535 }),
    event(EventKind.icmpFromPort, {
      source: addressFromBits(0xffff_ffff),
      destination: addressFromBits(0x8000_0000),
      detail: 255,
      port: 1,
    }),
    event(EventKind.relayPacket, {
      incoming: 0xffff_ffff,
      outgoing: 0x8000_0000,
      rewritten: addressFromBits(0x8000_0001),
    }),
    event(EventKind.relayReply, { incoming: 1, outgoing: 2, rewritten: addressFromBits(3) }),
  ];
  for (const { kind, source, destination, detail, port, incoming, outgoing, rewritten } of events) {
    ring.emit(kind, source, destination, detail, port, incoming, outgoing, rewritten);
  }
  const drained: Event[] = [];
  ring.drain((event) => drained.push({ ...event }));
  assert.deepEqual(drained, events);
  assert.deepEqual(drain(ring), []);
});

Deno.test("what does not fit is lost and counted, and what was there stays", () => {
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

Deno.test("round and round: the order stays, whatever the steps", () => {
  const { ring, lost } = makeRing(8);
  let next = 0;
  for (let round = 0; round < 200; round++) {
    const numbers = Array.from({ length: 1 + round % 8 }, () => next++);
    emit(ring, ...numbers);
    assert.deepEqual(drain(ring), numbers);
  }
  assert.equal(lost(), 0);
});

Deno.test("positions wrap around at 31 bits, and nothing is lost or doubled", () => {
  for (const position of [2 ** 31 - 3, 2 ** 31 - 1]) {
    const { ring, lost } = makeRing(4, position);
    assert.deepEqual(drain(ring), []);
    emit(ring, 0, 1, 2, 3, 4);
    assert.equal(lost(), 1, "full across the seam");
    assert.deepEqual(drain(ring), [0, 1, 2, 3]);
    for (let n = 5; n < 20; n++) {
      emit(ring, n);
      assert.deepEqual(drain(ring), [n]);
    }
    assert.equal(lost(), 1);
  }
});

/** The numbers of the events that wait, and how many of each are told of at once. */
function drainRuns(ring: EventRing): [number: number, times: number][] {
  const runs: [number, number][] = [];
  ring.drainRuns(({ source }, times) => runs.push([addressBits(source), times]));
  return runs;
}

Deno.test("the reader sees what is published, not what has only been emitted", () => {
  const memory = ringMemory(8);
  const [writer, reader] = [new EventRing(memory), new EventRing(memory)];
  emit(writer, 0, 1);
  assert.deepEqual(drain(reader), []);
  writer.publish();
  emit(writer, 2);
  assert.deepEqual(drain(reader), [0, 1]);
  writer.wake();
  assert.deepEqual(drain(reader), [2]);
});

Deno.test("equal events in a row take one place, and come out as many as they were", () => {
  const numbers = [0, 0, 0, 1, 0, 2, 2];
  const { ring, lost } = makeRing(8);
  emit(ring, ...numbers);
  assert.deepEqual(drain(ring), numbers);
  emit(ring, ...numbers);
  assert.deepEqual(drainRuns(ring), [[0, 3], [1, 1], [0, 1], [2, 2]]);
  assert.equal(lost(), 0);
});

Deno.test("who reads much draws breath every 64 records", () => {
  const { ring } = makeRing(256);
  emit(ring, ...Array.from({ length: 160 }, (_, number) => number));
  const done: string[] = [];
  ring.drainRuns(({ source }) => done.push(formatIp(source)), () => done.push("breath"));
  assert.deepEqual(done.flatMap((what, index) => what === "breath" ? [index] : []), [64, 129]);
  assert.equal(done.length, 162);
});

Deno.test("events that differ in one field only are not equal", () => {
  const { ring } = makeRing(8);
  const first = [EventKind.icmpFromTunnel, 1, 2, 3, 4] as const;
  const emitWords = ([kind, source, destination, detail, port]: readonly [EventKind, ...number[]]) =>
    ring.emit(kind, addressFromBits(source!), addressFromBits(destination!), detail!, port!);
  emitWords(first);
  for (let field = 0; field < first.length; field++) {
    const other = [...first] as [EventKind, number, number, number, number];
    other[field] = field === 0 ? EventKind.icmpFromPort : 9;
    emitWords(other);
  }
  let runs = 0;
  ring.drainRuns(() => runs++);
  assert.equal(runs, 6);
});

Deno.test("a published event is the reader's: one like it takes a place of its own", () => {
  const { ring, lost } = makeRing(2);
  for (const _ of [1, 2, 3]) {
    emit(ring, 7);
    ring.publish();
  }
  assert.equal(lost(), 1);
  assert.deepEqual(drainRuns(ring), [[7, 1], [7, 1]]);
});

Deno.test("a run that one record cannot count goes on in the next", () => {
  const { ring } = makeRing(4);
  for (let n = 0; n < 2 ** 24 + 2; n++) {
    ring.emit(EventKind.icmpFromRawSocket, addressFromBits(0xffff_ffff), addressFromBits(0), 0, 0);
  }
  assert.deepEqual(drainRuns(ring), [[0xffff_ffff, 2 ** 24], [0xffff_ffff, 2]]);
});

Deno.test("events that happen while others are handed over wait for the next time", () => {
  const { ring } = makeRing(8);
  emit(ring, 0, 1);
  const seen: number[] = [];
  ring.drain(({ source }) => {
    seen.push(addressBits(source));
    if (addressBits(source) < 2) emit(ring, addressBits(source) + 10);
  });
  assert.deepEqual(seen, [0, 1]);
  assert.deepEqual(drain(ring), [10, 11]);
});

Deno.test("a reader that fails in the middle gets the same events again", () => {
  const { ring } = makeRing(8);
  emit(ring, 0, 1);
  assert.throws(() => {
    ring.drain(() => {
      throw new Error("disk full");
    });
  }, /disk full/);
  assert.deepEqual(drain(ring), [0, 1]);
});

Deno.test("sleeping: only a wake ends it, and one that came since the ring was drained", async () => {
  using _ = stayAlive();
  const { ring } = makeRing(8);
  let woken = 0;
  const sleep = () => ring.untilWoken().then(() => void woken++);
  const asleep = sleep();
  emit(ring, 0);
  ring.publish();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(woken, 0, "what is published waits for a wake");
  ring.wake();
  await asleep;
  await ring.untilWoken(); // 0 still waits
  assert.deepEqual(drain(ring), [0]);
  const stopped = sleep();
  ring.wake(); // without anything to tell
  await stopped;
  assert.deepEqual(drain(ring), []);
  ring.wake();
  await ring.untilWoken();
});

Deno.test("a writer knows whether it has news for its reader, and whether that is much", () => {
  for (const position of [0, 2 ** 31 - 1 - 3]) {
    const memory = ringMemory(16, position);
    const [writer, reader] = [new EventRing(memory), new EventRing(memory)];
    const told: [hasNews: boolean, isFilling: boolean][] = [];
    for (let number = 0; number < 5; number++) {
      emit(writer, number);
      writer.publish();
      told.push([writer.hasNews, writer.isFilling]);
    }
    assert.deepEqual(told, [[true, false], [true, false], [true, false], [true, true], [true, true]]);
    writer.wake();
    assert.deepEqual([writer.hasNews, writer.isFilling], [false, false]);
    emit(writer, 5);
    assert.equal(writer.hasNews, false, "emitted, but not published");
    writer.wake();
    assert.equal(writer.hasNews, false);
    assert.deepEqual(drain(reader), [0, 1, 2, 3, 4, 5]);
  }
});

/** A Worker that writes, and what it says in the end. */
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

Deno.test("a writer in another thread, faster than its reader: every event is read once, in order, or counted", async () => {
  const events = 200_000;
  for (const position of [0, 2 ** 31 - 1000]) {
    const memory = ringMemory(256, position);
    using writer = new Writer({ ring: memory, events, burst: 64 });
    const ring = new EventRing(memory);
    let read = 0;
    let last = -1;
    const take = (event: Readonly<Event>) => {
      const { source, destination, detail, port, incoming, outgoing, rewritten } = event;
      assert.ok(addressBits(source) > last, `${source} after ${last}`);
      const fields = [source, destination, detail, port, incoming, outgoing, rewritten];
      assert.deepEqual(fields, eventNumber(addressBits(source)));
      last = addressBits(source);
      read++;
    };
    const { promise: over, resolve } = Promise.withResolvers<WriterReport>();
    let report: WriterReport | undefined;
    void writer.done.then((said) => {
      report = said;
      ring.wake(); // as who ends a run does, so that the reader does not sleep on
      resolve(said);
    });
    while (report === undefined) {
      await ring.untilWoken();
      ring.drain(take);
    }
    ring.drain(take);
    const { lost } = await over;
    assert.equal(read + lost, events);
    assert.ok(read >= 256, "the ring's fill at least");
  }
});

Deno.test("no wake-up is lost: a writer that waits for its reader before each event is never left waiting", async () => {
  const events = 5000;
  const memory = ringMemory(256);
  const taken = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  using writer = new Writer({ ring: memory, events, burst: 1, taken });
  const ring = new EventRing(memory);
  const count = new Int32Array(taken);
  for (let read = 0; read < events;) {
    await ring.untilWoken();
    ring.drain(({ source }) => assert.equal(addressBits(source), read++));
    Atomics.store(count, 0, read);
    Atomics.notify(count, 0);
  }
  assert.equal((await writer.done).lost, 0);
});

Deno.test("without packets: what happens to circuits is told, and nothing else, every word of it", () => {
  const all = new EventMemory();
  const sink = withoutPackets(all);
  for (const kind of Object.values(EventKind)) {
    sink.emit(kind, addressFromBits(1), addressFromBits(2), 3, 4, 5, 6, addressFromBits(7));
  }
  const { hop, newExtend, forwardExtend, extendDone } = EventKind;
  const words = {
    source: addressFromBits(1),
    destination: addressFromBits(2),
    detail: 3,
    port: 4,
    incoming: 5,
    outgoing: 6,
    rewritten: addressFromBits(7),
  };
  assert.deepEqual(all.events, [hop, newExtend, forwardExtend, extendDone].map((kind) => event(kind, words)));
});

Deno.test("a word that is not said is zero, also where another event has stood", () => {
  const { ring } = makeRing(1);
  ring.emit(EventKind.relayPacket, addressFromBits(1), addressFromBits(2), 3, 4, 5, 6, addressFromBits(7));
  ring.drain(() => {});
  ring.emit(EventKind.icmpFromTunnel, addressFromBits(1), addressFromBits(2), 3, 4);
  const drained: Event[] = [];
  ring.drain((event) => drained.push({ ...event }));
  assert.deepEqual(drained, [
    event(EventKind.icmpFromTunnel, {
      source: addressFromBits(1),
      destination: addressFromBits(2),
      detail: 3,
      port: 4,
    }),
  ]);
});
