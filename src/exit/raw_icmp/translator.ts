/**
 * Translates echo sessions between the tunnel and the world, as a NAT does (RFC 5508). Each session
 * of a client gets its own echo identifier at the exit's address, and answers are matched by it.
 *
 * ```
 *   tunnel                           exit                               world
 *   10.0.2.15 id 7 → 128.30.2.155    192.168.201.2 id 51234 → 128.30.2.155
 *   10.0.2.15 id 7 → 18.9.22.69      192.168.201.2 id 2718  → 18.9.22.69
 * ```
 *
 * Clients often run on the exit's own host. There every `ping` sees every incoming answer and
 * recognises its own by the identifier alone. So the world never sees an identifier that any client
 * has chosen.
 *
 * @module
 */
import { addressKey, type IpAddress } from "../../ip/address.ts";

/** An echo session: one client's pings with one identifier to one destination, over one circuit. */
export interface EchoSession {
  /** The circuit that the requests come by. */
  readonly circuit: number;
  /** The client that sends them. */
  readonly client: IpAddress;
  /** The identifier that the client chose. */
  readonly identifier: number;
  /** The host that they are sent to. */
  readonly destination: IpAddress;
  /** The identifier that the world sees, 0 to 65535. */
  readonly externalIdentifier: number;
  /** When the session ends if nothing uses it, in ms. */
  readonly expires: number;
}

/** The limits of the table. */
export interface TranslatorLimits {
  /** Max sessions at a time. Above 32,768 the identifiers may run out first. */
  readonly sessions: number;
  /** Milliseconds without a request after which a session ends; at least 60 s (RFC 5508 REQ-2). */
  readonly idle: number;
  /**
   * Milliseconds without a request after which a session gives way to a new one in a full table.
   */
  readonly grace: number;
}

/** The default limits. Nobody waits for an answer that takes longer than the grace. */
export const TRANSLATOR_LIMITS: TranslatorLimits = { sessions: 16_384, idle: 60_000, grace: 5_000 };

/**
 * The echo identifiers that a translator may use: those whose remainder is `index` when divided by
 * `of`. Every raw socket sees every answer to its address, so exits with one address need different
 * identifiers.
 */
export interface IdentifierShare {
  /** The remainder, 0 to `of` - 1. */
  readonly index: number;
  /** The number of exits that share an address. */
  readonly of: number;
}

/** Identifiers are 16 bits (RFC 792 p. 14). */
const IDENTIFIERS = 65_536;

/**
 * The table of sessions. A core without I/O.
 *
 * A full table drops the session that has been unused longest. So a client may ping a whole block
 * at once and hear from every host that exists. It loses only replies that are later than
 * {@linkcode TranslatorLimits.grace}. If the table refused new sessions, live hosts would look
 * dead.
 */
export class IcmpTranslator {
  readonly #limits: TranslatorLimits;
  readonly #random: () => number;
  readonly #share: IdentifierShare;
  /**
   * Circuit → client and identifier → destination → session. The keys are numbers, so a look-up
   * allocates nothing.
   */
  readonly #outbound = new Map<number, Map<number, Map<IpAddress, Session>>>();
  readonly #byExternal = new Map<number, Session>();
  /** For each identifier that a client chose, the number of sessions that have it. */
  readonly #own = new Map<number, number>();
  readonly #byUse = new ByUse();

  /**
   * A table without sessions.
   *
   * @param random numbers in [0, 1) that an outsider cannot guess, for the identifiers that the
   *   world sees
   */
  constructor(
    random: () => number,
    limits: TranslatorLimits = TRANSLATOR_LIMITS,
    share: IdentifierShare = { index: 0, of: 1 },
  ) {
    this.#random = random;
    this.#limits = limits;
    this.#share = share;
  }

  /** Sessions at present. */
  get size(): number {
    return this.#byExternal.size;
  }

  /**
   * When {@linkcode IcmpTranslator.expire} next has something to do, in ms; Infinity without
   * sessions.
   */
  get deadline(): number {
    return this.#byUse.oldest?.expires ?? Infinity;
  }

  /**
   * The session of a request on its way out; a new one if there is none yet.
   *
   * @param now the time in ms, of a clock that never goes back
   * @returns undefined if every session of a full table is in use
   */
  outbound(
    circuit: number,
    client: IpAddress,
    identifier: number,
    destination: IpAddress,
    now: number,
  ): EchoSession | undefined {
    this.expire(now);
    const flow = addressKey(client, identifier);
    const known = this.#outbound.get(circuit)?.get(flow)?.get(destination);
    const session = known ?? this.#open(circuit, client, identifier, destination, now);
    if (session === undefined) return undefined;
    session.expires = now + this.#limits.idle;
    this.#byUse.touch(session);
    return session;
  }

  /**
   * The session that a reply, or the request that an error quotes, belongs to.
   *
   * @param externalIdentifier the identifier that the world saw
   * @param destination the host that the request was sent to
   */
  inbound(externalIdentifier: number, destination: IpAddress, now: number): EchoSession | undefined {
    const session = this.#byExternal.get(externalIdentifier);
    return session?.destination === destination && session.expires > now ? session : undefined;
  }

  /** Ends the sessions that have expired. */
  expire(now: number): void {
    while (this.deadline <= now) this.#close(this.#byUse.oldest!);
  }

  #open(
    circuit: number,
    client: IpAddress,
    identifier: number,
    destination: IpAddress,
    now: number,
  ): Session | undefined {
    if (this.size >= this.#limits.sessions && !this.#makeRoom(now)) return undefined;
    const external = this.#choose(identifier);
    if (external === undefined) return undefined;
    const clash = this.#byExternal.get(identifier);
    if (clash !== undefined) this.#retire(clash);
    const session = new Session(circuit, client, identifier, destination, external);
    getOrMake(getOrMake(this.#outbound, circuit), session.flow).set(destination, session);
    this.#byExternal.set(external, session);
    this.#own.set(identifier, (this.#own.get(identifier) ?? 0) + 1);
    return session;
  }

  /** Closes the session that has been unused longest, unless an answer may still be on its way. */
  #makeRoom(now: number): boolean {
    const { oldest } = this.#byUse;
    if (oldest === undefined || oldest.expires - this.#limits.idle + this.#limits.grace > now) return false;
    this.#close(oldest);
    return true;
  }

  /**
   * An identifier that no session has on either side.
   *
   * @param own the new session's identifier on the client's side, which is not allowed either
   * @returns undefined if none is left
   */
  #choose(own: number): number | undefined {
    const { index, of } = this.#share;
    const mine = Math.floor((IDENTIFIERS - 1 - index) / of) + 1;
    const first = Math.floor(this.#random() * mine);
    for (let step = 0; step < mine; step++) {
      const identifier = ((first + step) % mine) * of + index;
      if (identifier !== own && !this.#own.has(identifier) && !this.#byExternal.has(identifier)) {
        return identifier;
      }
    }
    return undefined;
  }

  /**
   * Closes a session for requests, because a client now uses its external identifier: the next
   * request opens another session. Answers that are already on their way still come in.
   */
  #retire(session: Session): void {
    const { circuit, flow, destination } = session;
    const flows = this.#outbound.get(circuit);
    const destinations = flows?.get(flow);
    if (flows === undefined || destinations?.get(destination) !== session) return; // retired before
    destinations.delete(destination);
    if (destinations.size === 0) flows.delete(flow);
    if (flows.size === 0) this.#outbound.delete(circuit);
  }

  #close(session: Session): void {
    this.#retire(session);
    this.#byExternal.delete(session.externalIdentifier);
    this.#byUse.remove(session);
    const left = this.#own.get(session.identifier)! - 1;
    if (left === 0) this.#own.delete(session.identifier);
    else this.#own.set(session.identifier, left);
  }
}

/** A session, and its place in the order of use. */
class Session implements EchoSession {
  /** Client and identifier in one number. */
  readonly flow: number;
  expires = 0;
  older: Session | undefined;
  newer: Session | undefined;

  constructor(
    readonly circuit: number,
    readonly client: IpAddress,
    readonly identifier: number,
    readonly destination: IpAddress,
    readonly externalIdentifier: number,
  ) {
    this.flow = addressKey(client, identifier);
  }
}

/**
 * The sessions in the order of their last use, which is also the order in which they expire. It is
 * a list linked through the sessions themselves, so every step takes constant time.
 */
class ByUse {
  oldest: Session | undefined;
  #newest: Session | undefined;

  /** Moves a session to the newest end, or puts it there. */
  touch(session: Session): void {
    if (session === this.#newest) return;
    if (session.newer !== undefined) this.remove(session);
    session.older = this.#newest;
    if (this.#newest === undefined) this.oldest = session;
    else this.#newest.newer = session;
    this.#newest = session;
  }

  /** Removes a session. */
  remove(session: Session): void {
    const { older, newer } = session;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    session.older = session.newer = undefined;
  }
}

function getOrMake<Key, Value>(
  map: Map<number, Map<Key, Value>>,
  key: number,
): Map<Key, Value> {
  let inner = map.get(key);
  if (inner === undefined) {
    inner = new Map();
    map.set(key, inner);
  }
  return inner;
}
