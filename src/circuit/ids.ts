/**
 * Circuit ids. An id is local to a link; the party nearer to the proxy chooses it. Ids have the
 * classic form, the party's number times 256 plus a count, so the two ends of a link never choose
 * the same one:
 *
 * ```
 *   proxy, party 0:     0x01, 0x02, … 0xff, 0x10000, …
 *   router 3, party 3:  0x301, 0x302, … 0x3ff, 0x10300, …
 * ```
 *
 * The id of a direct circuit, which nobody chooses, is its router's number.
 *
 * @module
 */

/** Number of counts: 24 bits fit around the party's byte. */
const COUNTS = 2 ** 24;

/** The party that chose an id. */
export function partyOf(id: number): number {
  return id >>> 8 & 0xff;
}

/** The id of the direct circuit to a router. */
export function directId(router: number): number {
  return router;
}

/** Chooses ids for one party. */
export class CircuitIds {
  readonly #party: number;
  #count = 0;

  /**
   * Starts with the first id.
   *
   * @param party 0 for the proxy, else a router's number, at most 255
   */
  constructor(party: number) {
    this.#party = party;
  }

  /**
   * Returns the next free id, never 0.
   *
   * @param isTaken whether an id is in use; must be false for at least one of the 2^24
   */
  next(isTaken: (id: number) => boolean): number {
    for (;;) {
      this.#count = (this.#count + 1) % COUNTS;
      const id = ((this.#count >>> 8) * 0x10000 + this.#party * 0x100 + (this.#count & 0xff)) >>> 0;
      if (id !== 0 && !isTaken(id)) return id;
    }
  }
}
