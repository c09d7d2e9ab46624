/**
 * Random numbers that a seed decides, so that a network in memory runs the same way each time.
 *
 * @module
 */

/**
 * A function that returns numbers in [0, 1). The same seed, any integer, gives the same numbers.
 */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    // A Weyl sequence of 32 bits, mixed until every bit depends on every other.
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}
