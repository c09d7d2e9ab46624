/**
 * A Worker that writes events, as the packet thread does: the other end of the tests of the event ring.
 *
 * @module
 */
import { EventKind, EventRing } from "../../src/trace/events.ts";
import { addressFromBits, type IpAddress } from "../../src/ip/address.ts";

/** What the writer is told. */
export interface WriterOrder {
  readonly ring: SharedArrayBuffer;
  /** Events to write; their source counts from 0. */
  readonly events: number;
  /** Events after which the reader is woken. */
  readonly burst: number;
  /** Where the reader counts what it has taken, if the writer shall wait for it before each burst. */
  readonly taken?: SharedArrayBuffer;
}

/** What the writer says when it has written everything. */
export interface WriterReport {
  readonly lost: number;
}

/** What is told of an event, but for its kind. */
type EventFields = [
  source: IpAddress,
  destination: IpAddress,
  detail: number,
  port: number,
  incoming: number,
  outgoing: number,
  rewritten: IpAddress,
];

/** The fields of the n-th event: each tells n, so that a record of two halves is found out. */
export function eventNumber(n: number): EventFields {
  const mixed = Math.imul(n, 0x9e37_79b1) >>> 0;
  const [source, destination, rewritten] = [n, ~n >>> 0, (n + mixed) >>> 0].map(addressFromBits) as [
    IpAddress,
    IpAddress,
    IpAddress,
  ];
  return [source, destination, mixed, n & 0xffff, ~mixed >>> 0, (n ^ mixed) >>> 0, rewritten];
}

const scope = self as unknown as {
  onmessage: ((message: MessageEvent<WriterOrder>) => void) | null;
  postMessage(report: WriterReport): void;
};

scope.onmessage = ({ data: { ring: memory, events, burst, taken } }) => {
  let lost = 0;
  const ring = new EventRing(memory, () => lost++);
  const count = taken && new Int32Array(taken);
  for (let n = 0; n < events; n++) {
    if (count !== undefined && n % burst === 0) {
      for (let known = Atomics.load(count, 0); known < n; known = Atomics.load(count, 0)) {
        Atomics.wait(count, 0, known);
      }
    }
    ring.emit(EventKind.icmpFromPort, ...eventNumber(n));
    if ((n + 1) % burst === 0) ring.wake();
  }
  ring.wake();
  scope.postMessage({ lost });
};
