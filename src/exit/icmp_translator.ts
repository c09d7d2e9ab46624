/**
 * Translating echo sessions between the tunnel and the world, as a NAT does (RFC 5508): each session of a client
 * gets an echo identifier of its own at the exit's address, and what comes back is told apart by it.
 *
 * ```
 *   tunnel                       exit                               world
 *   10.0.2.15 id 7 → 128.30.2.155    192.168.201.2 id 51234 → 128.30.2.155
 * ```
 *
 * @module
 */

/** An echo session: one client's pings with one identifier to one destination, over one circuit. */
export interface EchoSession {
  readonly circuit: number;
  readonly client: number;
  /** The identifier that the client chose. */
  readonly identifier: number;
  readonly destination: number;
  /** The identifier that the world sees, 0 to 65535. */
  readonly externalIdentifier: number;
  /** When the session ends unless it is used again, in ms. */
  expires: number;
}

/** What the table may use up. */
export interface TranslatorLimits {
  /** Sessions at a time, at most 65,535. */
  readonly sessions: number;
  /** Milliseconds without a packet after which a session ends; RFC 5508 REQ-2 wants at least 60 s. */
  readonly idle: number;
}

/** The usual limits. */
export const TRANSLATOR_LIMITS: TranslatorLimits = { sessions: 16_384, idle: 60_000 };

/** Milliseconds between two looks for sessions that have ended. */
const SWEEP = 10_000;

/** Identifiers are 16 bits (RFC 792 p. 14). */
const IDENTIFIERS = 65_536;

/** The table of sessions. A core without I/O. */
export class IcmpTranslator {
  readonly #limits: TranslatorLimits;
  readonly #random: () => number;
  /** Circuit → client and identifier → destination → session: numbers as keys, so that a look-up makes no garbage. */
  readonly #outbound = new Map<number, Map<number, Map<number, EchoSession>>>();
  readonly #byExternal = new Map<number, EchoSession>();
  #sweepAt = Infinity;

  /**
   * A table without sessions.
   *
   * @param random numbers in [0, 1) that an outsider cannot guess, for the identifiers that the world sees
   */
  constructor(random: () => number, limits: TranslatorLimits = TRANSLATOR_LIMITS) {
    this.#random = random;
    this.#limits = limits;
  }

  /** Sessions at present. */
  get size(): number {
    return this.#byExternal.size;
  }

  /** When {@linkcode IcmpTranslator.expire} next has something to do, in ms; Infinity where there is no session. */
  get deadline(): number {
    return this.#sweepAt;
  }

  /**
   * The session of a request on its way out; a new one where there was none.
   *
   * @param now the time in ms
   * @returns undefined where the table is full
   */
  outbound(
    circuit: number,
    client: number,
    identifier: number,
    destination: number,
    now: number,
  ): EchoSession | undefined {
    const flow = client * IDENTIFIERS + identifier;
    let session = this.#outbound.get(circuit)?.get(flow)?.get(destination);
    if (session === undefined) {
      if (this.size >= this.#limits.sessions) this.expire(now);
      if (this.size >= this.#limits.sessions) return undefined;
      session = {
        circuit,
        client,
        identifier,
        destination,
        externalIdentifier: this.#choose(identifier),
        expires: 0,
      };
      this.#add(session, flow);
      this.#sweepAt = Math.min(this.#sweepAt, now + SWEEP);
    }
    session.expires = now + this.#limits.idle;
    return session;
  }

  /**
   * The session that a reply, or the request that an error quotes, belongs to.
   *
   * @param externalIdentifier the identifier that the world saw
   * @param destination whom the request was sent to
   */
  inbound(externalIdentifier: number, destination: number, now: number): EchoSession | undefined {
    const session = this.#byExternal.get(externalIdentifier);
    return session?.destination === destination && session.expires > now ? session : undefined;
  }

  /** Ends the sessions whose time is over. */
  expire(now: number): void {
    for (const session of this.#byExternal.values()) if (session.expires <= now) this.#remove(session);
    this.#sweepAt = this.size === 0 ? Infinity : now + SWEEP;
  }

  /** An identifier that no session has, and that is not the client's own: where both share a host, `ping` would see doubles. */
  #choose(own: number): number {
    let identifier = Math.floor(this.#random() * IDENTIFIERS);
    while (this.#byExternal.has(identifier) || identifier === own) {
      identifier = (identifier + 1) % IDENTIFIERS;
    }
    return identifier;
  }

  #add(session: EchoSession, flow: number): void {
    const flows = getOrMake(this.#outbound, session.circuit);
    getOrMake(flows, flow).set(session.destination, session);
    this.#byExternal.set(session.externalIdentifier, session);
  }

  #remove(session: EchoSession): void {
    const { circuit, client, identifier, destination, externalIdentifier } = session;
    const flow = client * IDENTIFIERS + identifier;
    const flows = this.#outbound.get(circuit)!;
    const destinations = flows.get(flow)!;
    destinations.delete(destination);
    if (destinations.size === 0) flows.delete(flow);
    if (flows.size === 0) this.#outbound.delete(circuit);
    this.#byExternal.delete(externalIdentifier);
  }
}

function getOrMake<Value>(
  map: Map<number, Map<number, Value>>,
  key: number,
): Map<number, Value> {
  let inner = map.get(key);
  if (inner === undefined) {
    inner = new Map();
    map.set(key, inner);
  }
  return inner;
}
