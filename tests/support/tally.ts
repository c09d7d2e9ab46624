/**
 * Counters for tests that hold every single input to account.
 *
 * @module
 */
import assert from "node:assert/strict";
import { COUNTERS, Counters, COUNTERS_BYTES, type Snapshot } from "../../src/trace/counters.ts";

/** Counters whose changes from one input to the next are looked at. */
export class Tally {
  readonly counters: Counters;
  readonly #values: Float64Array;

  constructor() {
    const memory = new ArrayBuffer(COUNTERS_BYTES);
    this.counters = new Counters(memory);
    this.#values = new Float64Array(memory);
  }

  /** Everything that has been dropped so far. The drop reasons stand behind the other counters. */
  get dropped(): number {
    let sum = 0;
    for (let at = Object.keys(COUNTERS).length; at < this.#values.length; at++) sum += this.#values[at]!;
    return sum;
  }
}

/** Asserts that a storm has come to everything that it could come to. */
export function assertReached(counted: Snapshot, ...names: readonly (keyof Snapshot)[]): void {
  for (const name of names) assert.ok((counted[name] ?? 0) > 0, `${name} was never reached`);
}
