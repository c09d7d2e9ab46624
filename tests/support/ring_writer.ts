/**
 * A Worker that writes events, as the packet thread does: the other end of the tests of the event
 * ring.
 *
 * @module
 */
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { addressFromBits, type IpAddress } from "../../src/ip/address.ts";
import { echoRequest } from "../../src/ip/icmp.ts";
import { Ipv4View } from "../../src/ip/ipv4.ts";
import { EventRing } from "../../src/trace/event_ring.ts";
import type { Event, EventSink } from "../../src/trace/events.ts";

/** What the writer is told. */
export interface WriterOrder {
  readonly ring: SharedArrayBuffer;
  /** Events to write; their numbers count from 0. */
  readonly events: number;
  /** Events after which the reader is woken. */
  readonly burst: number;
  /**
   * Where the reader counts what it has taken, if the writer shall wait for it before each burst.
   */
  readonly taken?: SharedArrayBuffer;
}

/** What the writer says when it has written everything. */
export interface WriterReport {
  readonly lost: number;
}

/** The n-th event: each field tells n, so that a record of two halves is found out. Its source is n. */
export function eventNumber(n: number): Event & { readonly kind: "relay-packet" } {
  const mixed = Math.imul(n, 0x9e37_79b1) >>> 0;
  return {
    kind: "relay-packet",
    time: n + 1 / 3,
    source: addressFromBits(n),
    destination: addressFromBits(~n >>> 0),
    incoming: mixed,
    outgoing: ~mixed >>> 0,
    newSource: addressFromBits((n ^ mixed) >>> 0),
    length: 28 + n % 8,
    id: n & 0xffff,
    seq: mixed & 0xffff,
  };
}

/** Tells a sink of the n-th event. */
export function writeNumber(sink: EventSink, n: number): void {
  const { time, incoming, outgoing, newSource, source, destination, length, id, seq } = eventNumber(n);
  sink.relayPacket(pingOf({ source, destination, length, id, seq }), incoming, outgoing, newSource, time);
}

/** A ping's request, as a core sees it. */
export function pingOf(
  { source, destination, length = 28, id = 0, seq = 0 }: {
    readonly source: IpAddress;
    readonly destination: IpAddress;
    readonly length?: number | undefined;
    readonly id?: number | undefined;
    readonly seq?: number | undefined;
  },
): Ipv4View {
  const data = new Uint8Array(length - 28);
  const packet = new PacketBuffer(length);
  packet.load(echoRequest({ source, destination, identifier: id, sequence: seq, data }));
  const view = new Ipv4View();
  view.wrap(packet);
  return view;
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
