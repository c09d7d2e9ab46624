/**
 * What a core is given to say what happened.
 *
 * @module
 */
import type { PacketBuffer } from "../buffer/packet_buffer.ts";
import type { Counters } from "./counters.ts";
import type { EventSink } from "./events.ts";

/** Sees what a router has in its hands between one layer and the next. What it is shown is good during the call only. */
export interface Tap {
  /**
   * A cell's contents, without the layer of this router.
   *
   * @param direction away from the proxy, or back towards it
   * @param circuit the circuit's id on the link towards the proxy
   * @param isReadable whether they are an IP packet, and not sealed for others
   */
  inside(direction: "out" | "back", circuit: number, contents: PacketBuffer, isReadable: boolean): void;
}

/** Where a core reports: numbers, events for the log, and where somebody wants to see them, the contents of cells. */
export interface Trace {
  /** What is counted. */
  readonly counters: Counters;
  /** What is logged. */
  readonly events: EventSink;
  /** Who looks into it; mostly nobody. */
  readonly tap?: Tap;
}
