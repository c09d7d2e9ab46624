/**
 * A Worker that writes events as the packet thread does, for the tests of the event ring.
 *
 * @module
 */
import { EventRing } from "../../src/trace/event_ring.ts";
import { writeNumber } from "./events.ts";

/** An order to the writer. */
export interface WriterOrder {
  readonly ring: SharedArrayBuffer;
  /** The number of events to write. They are numbered from 0. */
  readonly events: number;
  /** The number of events between two wakes of the reader. */
  readonly burst: number;
  /**
   * Where the reader counts what it has taken, if the writer shall wait for it before each burst.
   */
  readonly taken?: SharedArrayBuffer;
}

/** The report of the writer when it has written everything. */
export interface WriterReport {
  readonly lost: number;
}

const scope = self as unknown as {
  onmessage: ((message: MessageEvent<WriterOrder>) => void) | null;
  postMessage(report: WriterReport): void;
};

scope.onmessage = ({ data: { ring: memory, events, burst, taken } }) => {
  let lost = 0;
  const ring = new EventRing(memory, { keeps: "packets", lost: () => lost++ });
  const count = taken && new Int32Array(taken);
  for (let n = 0; n < events; n++) {
    if (count !== undefined && n % burst === 0) {
      for (let known = Atomics.load(count, 0); known < n; known = Atomics.load(count, 0)) {
        Atomics.wait(count, 0, known);
      }
    }
    writeNumber(ring, n);
    if ((n + 1) % burst === 0) ring.wake();
  }
  ring.wake();
  scope.postMessage({ lost });
};
