/**
 * What a core reports to.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Counters } from "./counters.ts";
import type { EventSink } from "./events.ts";

/** Sees the contents of cells inside a router, between one layer and the next. */
export interface Tap {
  /**
   * Sees a cell's contents without the layer of this router. They are good only during the call.
   *
   * @param direction away from the proxy, or back towards it
   * @param circuit the circuit's id on the link towards the proxy
   * @param form whether the contents are an IP packet, or sealed for another router
   */
  inside(direction: "out" | "back", circuit: number, contents: PacketBuffer, form: "packet" | "sealed"): void;
}

/** Where a core reports: counters, events for the log, and a tap for the contents of cells. */
export interface Trace {
  /** Counts packets and drops. */
  readonly counters: Counters;
  /** Takes events for the log. */
  readonly events: EventSink;
  /** Sees the contents of cells, if captures are wanted. */
  readonly tap?: Tap;
}
