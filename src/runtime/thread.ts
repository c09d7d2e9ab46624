/**
 * The control thread's handle on the packet thread.
 *
 * @module
 */
import type { RouterDescription } from "../circuit/origin/builder.ts";
import { yieldCpu } from "../sys/affinity.ts";
import { makeDoorbell, ringDoorbell } from "../sys/doorbell.ts";
import type { Fd } from "../sys/fd.ts";
import { Counters, COUNTERS_BYTES } from "../trace/counters.ts";
import type { EventRecord } from "../trace/event_record.ts";
import { EventRing, ringBytes } from "../trace/event_ring.ts";
import { LOG } from "./scheduling.ts";
import type { Order, Report, Role, ThreadOptions } from "./packet_thread.ts";
import type { Endpoint } from "../ip/address.ts";

/**
 * A packet thread. It is created early, because a Worker is slow to start, and started once its
 * devices are ready.
 */
export class PacketThread implements AsyncDisposable {
  /** Its counters. */
  readonly counters: Counters;
  readonly #worker: Worker;
  readonly #doorbell: Fd = makeDoorbell();
  readonly #counterMemory = new SharedArrayBuffer(COUNTERS_BYTES);
  readonly #ringMemory = new SharedArrayBuffer(ringBytes(LOG.records));
  readonly #ring = new EventRing(this.#ringMemory);
  readonly #alive = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<string>();
  #isOver = false;
  /** Ends the sleep of {@linkcode PacketThread.follow}. */
  #rouse = () => {};

  /**
   * Creates the Worker.
   *
   * @param module the URL of `packet_thread.ts`, which depends on the kind of executable
   */
  constructor(module: URL) {
    this.counters = new Counters(this.#counterMemory);
    this.#worker = new Worker(module, { type: "module", name: "packets" });
    this.#worker.onmessage = ({ data: report }: MessageEvent<Report>) => this.#hear(report);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#hear({ kind: "failed", message: event.message });
    };
  }

  /** Resolves with the reason when the thread has failed. */
  get failed(): Promise<string> {
    return this.#failed.promise;
  }

  /**
   * Starts moving packets.
   *
   * @param link the descriptor of the data link's socket; keep it open until the thread is disposed
   * of
   */
  async start(
    role: Role,
    link: number,
    neighbours: readonly Endpoint[],
    options: ThreadOptions = { logs: "lines", latency: 0 },
  ): Promise<void> {
    await this.#alive.promise;
    this.#order({
      kind: "start",
      role,
      link,
      neighbours,
      doorbell: this.#doorbell.number,
      counters: this.#counterMemory,
      ring: this.#ringMemory,
      options,
    });
  }

  /**
   * Replaces a neighbour by a new one, which knows no circuits. Without one, the neighbour is lost.
   *
   * @param neighbour its index on the link
   */
  replaceNeighbour(neighbour: number, by: RouterDescription | undefined): void {
    if (!this.#isOver) this.#order({ kind: "replace", neighbour, by });
  }

  /**
   * Hands over events in bursts, soon after they happen, until the thread is disposed of.
   *
   * @param take called with each record, which is good only during the call, and how many events it
   * stands for
   */
  async follow(
    take: (record: EventRecord, times: number) => void,
    burstEnded: () => void,
  ): Promise<void> {
    const breath = { every: LOG.breath, take: yieldCpu };
    for (;;) {
      this.#ring.drainRuns(take, breath);
      burstEnded();
      if (this.#isOver) return;
      await this.#sleep();
    }
  }

  /** Stops the thread and waits until it has ended. Its counters stay readable. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return;
    await this.#alive.promise;
    this.#order({ kind: "stop" });
    await this.#stopped.promise;
    this.#isOver = true;
    this.#rouse();
    this.#worker.terminate();
    this.#doorbell[Symbol.dispose]();
  }

  /** Waits until there are events to drain, or the thread has ended. */
  async #sleep(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // The ring's wake alone would not do, because Atomics.waitAsync does not keep Deno alive.
    this.#rouse = resolve;
    void this.#ring.untilWoken().then(resolve);
    await promise;
  }

  #order(order: Order): void {
    ringDoorbell(this.#doorbell.number);
    this.#worker.postMessage(order);
  }

  #hear(report: Report): void {
    switch (report.kind) {
      case "alive":
        return this.#alive.resolve();
      case "stopped":
        return this.#stopped.resolve();
      case "failed":
        this.#failed.resolve(report.message);
        this.#alive.resolve();
        this.#stopped.resolve();
    }
  }
}
