/**
 * The replay window: which counters have been seen lately (RFC 6479: bits in a ring, so that the window slides by
 * clearing words and not by shifting them).
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

/** Bits of a block that the window leaves free, as the counter under way may have cleared it: at least a word. */
const BLOCK = 64;

/**
 * How many counters below the next one are told apart: those that came from those that did not.
 *
 * - 8192 bits of the ring
 * - less 64, a block
 */
export const REPLAY_WINDOW = RING - BLOCK;

/** The counters that one direction of a layer has accepted. */
export class ReplayWindow {
  readonly #seen = new Uint32Array(WORDS);
  /** One more than the highest counter that was accepted. */
  #next = 0;

  /** Whether a counter is not too old, and has not been accepted yet. */
  isFresh(counter: number): boolean {
    if (counter >= this.#next) return true;
    if (counter < this.#next - REPLAY_WINDOW) return false;
    return (this.#seen[wordOf(counter) % WORDS]! & bitOf(counter)) === 0;
  }

  /** Marks a fresh counter as seen. Only authentic packets come here: anybody can make up a counter. */
  accept(counter: number): void {
    if (counter >= this.#next) this.#advance(counter);
    this.#seen[wordOf(counter) % WORDS]! |= bitOf(counter);
  }

  /** Clears the words that the window slides over. */
  #advance(counter: number): void {
    const last = wordOf(counter);
    // Where the last one has moved on by more than the ring, every word is cleared once.
    const first = Math.max(wordOf(this.#next - 1) + 1, last - WORDS + 1);
    for (let word = first; word <= last; word++) this.#seen[word % WORDS] = 0;
    this.#next = counter + 1;
  }
}

/** The number of a counter's word, as if the ring were a line. */
function wordOf(counter: number): number {
  return Math.floor(counter / WORD);
}

function bitOf(counter: number): number {
  return 1 << counter % WORD;
}
