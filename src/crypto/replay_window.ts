/**
 * The replay window: remembers recent counters (RFC 6479). Its bits form a ring, so the window
 * moves by clearing words and needs no shifts.
 *
 * ```
 *        too old          |           the window           |  fresh
 *   counters … 2   1   0  | next - WINDOW  …  next - 1     |  next …
 * ```
 *
 * @module
 */

/** Bits of the ring. */
const RING = 8192;

/** Bits of a word. */
const WORD = 32;

const WORDS = RING / WORD;

/** Bits between the newest and the oldest counter that the window leaves out: at least one word. */
const BLOCK = 64;

/**
 * Number of counters below the next one that the window covers.
 *
 * - 8192 bits of the ring
 * - minus 64 of a block
 */
export const REPLAY_WINDOW = RING - BLOCK;

/** The accepted counters of one direction of a layer. */
export class ReplayWindow {
  readonly #seen = new Uint32Array(WORDS);
  /** The highest accepted counter plus one. */
  #next = 0;

  /** Whether a counter is recent and not yet accepted. */
  isFresh(counter: number): boolean {
    if (counter >= this.#next) return true;
    if (counter < this.#next - REPLAY_WINDOW) return false;
    return (this.#seen[wordOf(counter) % WORDS]! & bitOf(counter)) === 0;
  }

  /**
   * Marks a fresh counter as accepted. Call it for authentic cells only, because anyone can invent
   * a counter.
   */
  accept(counter: number): void {
    if (counter >= this.#next) this.#advance(counter);
    this.#seen[wordOf(counter) % WORDS]! |= bitOf(counter);
  }

  /** Moves the window, and clears the words that it newly covers. */
  #advance(counter: number): void {
    const last = wordOf(counter);
    // A jump longer than the ring clears every word once.
    const first = Math.max(wordOf(this.#next - 1) + 1, last - WORDS + 1);
    for (let word = first; word <= last; word++) this.#seen[word % WORDS] = 0;
    this.#next = counter + 1;
  }
}

/** The index of a counter's word on an endless line; the ring is that line modulo its length. */
function wordOf(counter: number): number {
  return Math.floor(counter / WORD);
}

function bitOf(counter: number): number {
  return 1 << counter % WORD;
}
