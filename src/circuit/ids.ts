/**
 * Circuit ids. Each is local to a link, and chosen by the party that is nearer to the proxy. The classic ids are kept, a
 * party's number times 256 and a count, so that two ends of one link never choose the same:
 *
 * ```
 *   proxy, party 0:     0x01, 0x02, … 0xff, 0x10000, …
 *   router 3, party 3:  0x301, 0x302, … 0x3ff, 0x10300, …
 * ```
 *
 * A circuit that both ends know from the start has the number of its router.
 *
 * @module
 */

/** Counts that fit around the party's byte: 24 bits. */
const COUNTS = 2 ** 24;

/** The party whose number an id has. */
export function partyOf(id: number): number {
  return id >>> 8 & 0xff;
}

/** The id of the circuit that a proxy and a router know from the start. */
export function fixedId(router: number): number {
  return router;
}

/** Chooses ids for one party. */
export class CircuitIds {
  readonly #party: number;
  #count = 0;

  /**
   * Ids from the first one on.
   *
   * @param party 0 for the proxy, else a router's number, at most 255
   */
  constructor(party: number) {
    this.#party = party;
  }

  /**
   * The next id, never zero.
   *
   * @param isTaken whether an id is still in use; fewer than 2^24 are at a time
   */
  next(isTaken: (id: number) => boolean): number {
    for (;;) {
      this.#count = (this.#count + 1) % COUNTS;
      const id = ((this.#count >>> 8) * 0x10000 + this.#party * 0x100 + (this.#count & 0xff)) >>> 0;
      if (id !== 0 && !isTaken(id)) return id;
    }
  }
}
