/**
 * Counters for tests that account for every single input.
 *
 * @module
 */
import assert from "node:assert/strict";
import { COUNTERS, Counters, COUNTERS_BYTES, type Snapshot } from "../../src/trace/counters.ts";

/** Counters whose changes between inputs can be read. */
export class Tally {
  readonly counters: Counters;
  readonly #values: Float64Array;

  constructor() {
    const memory = new ArrayBuffer(COUNTERS_BYTES);
    this.counters = new Counters(memory);
    this.#values = new Float64Array(memory);
  }

  /** All drops so far. Drop reasons stand after the other counters. */
  get dropped(): number {
    let sum = 0;
    for (let at = Object.keys(COUNTERS).length; at < this.#values.length; at++) sum += this.#values[at]!;
    return sum;
  }
}

/** Asserts that random input reached every counter that it can reach. */
export function assertReached(counted: Snapshot, ...names: readonly (keyof Snapshot)[]): void {
  for (const name of names) assert.ok((counted[name] ?? 0) > 0, `${name} was never reached`);
}
