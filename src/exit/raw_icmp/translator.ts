/**
 * Translating echo sessions between the tunnel and the world, as a NAT does (RFC 5508): each session of a client
 * gets an echo identifier of its own at the exit's address, and what comes back is told apart by it.
 *
 * ```
 *   tunnel                           exit                               world
 *   10.0.2.15 id 7 → 128.30.2.155    192.168.201.2 id 51234 → 128.30.2.155
 *   10.0.2.15 id 7 → 18.9.22.69      192.168.201.2 id 2718  → 18.9.22.69
 * ```
 *
 * Clients often live on the exit's own host, where every `ping` sees every answer that comes in and knows its own
 * by the identifier alone. So what the world sees is never an identifier that a client has chosen, be it
 * another's.
 *
 * @module
 */
import { addressKey, type IpAddress } from "../../ip/address.ts";

/** An echo session: one client's pings with one identifier to one destination, over one circuit. */
export interface EchoSession {
  /** The circuit that the requests come by. */
  readonly circuit: number;
  /** Who sends them. */
  readonly client: IpAddress;
  /** The identifier that the client chose. */
  readonly identifier: number;
  /** Whom they are for. */
  readonly destination: IpAddress;
  /** The identifier that the world sees, 0 to 65535. */
  readonly externalIdentifier: number;
  /** When the session ends unless it is used again, in ms. */
  readonly expires: number;
}

/** What the table may use up. */
export interface TranslatorLimits {
  /** Sessions at a time. Beyond 32,768 it may be the identifiers that run out first. */
  readonly sessions: number;
  /** Milliseconds without a request after which a session ends; RFC 5508 REQ-2 wants at least 60 s. */
  readonly idle: number;
  /** Milliseconds without a request after which a session gives way to a new one where the table is full. */
  readonly grace: number;
}

/** The usual limits. An answer that takes longer than the grace is nothing that anybody waits for. */
export const TRANSLATOR_LIMITS: TranslatorLimits = { sessions: 16_384, idle: 60_000, grace: 5_000 };

/**
 * Which echo identifiers are this translator's: those that leave the remainder `index` when they are divided by `of`.
 * Every raw socket sees every answer to its address, so exits that share one must be told apart by the identifier.
 */
export interface IdentifierShare {
  /** The remainder, 0 to `of` - 1. */
  readonly index: number;
  /** How many share an address. */
  readonly of: number;
}

/** Identifiers are 16 bits (RFC 792 p. 14). */
const IDENTIFIERS = 65_536;

/**
 * The table of sessions. A core without I/O.
 *
 * A full table lets the session go that has been unused for longest: whoever pings a whole block at once wants an
 * answer from every host that is there, and only replies that are late by {@linkcode TranslatorLimits.grace} are
 * lost to that. Refusing the new ones would make hosts look dead.
 */
export class IcmpTranslator {
  readonly #limits: TranslatorLimits;
  readonly #random: () => number;
  readonly #share: IdentifierShare;
  /** Circuit → client and identifier → destination → session: numbers as keys, so that a look-up makes no garbage. */
  readonly #outbound = new Map<number, Map<number, Map<IpAddress, Session>>>();
  readonly #byExternal = new Map<number, Session>();
  /** How many sessions have an identifier as their client's own. */
  readonly #own = new Map<number, number>();
  readonly #byUse = new ByUse();

  /**
   * A table without sessions.
   *
   * @param random numbers in [0, 1) that an outsider cannot guess, for the identifiers that the world sees
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

  /** When {@linkcode IcmpTranslator.expire} next has something to do, in ms; Infinity where there is no session. */
  get deadline(): number {
    return this.#byUse.oldest?.expires ?? Infinity;
  }

  /**
   * The session of a request on its way out; a new one where there was none.
   *
   * @param now the time in ms, of a clock that never goes back
   * @returns undefined where the table is full of sessions in use
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
   * @param destination whom the request was sent to
   */
  inbound(externalIdentifier: number, destination: IpAddress, now: number): EchoSession | undefined {
    const session = this.#byExternal.get(externalIdentifier);
    return session?.destination === destination && session.expires > now ? session : undefined;
  }

  /** Ends the sessions whose time is over. */
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

  /** Closes the session that has been unused for longest, unless an answer may still be on its way. */
  #makeRoom(now: number): boolean {
    const { oldest } = this.#byUse;
    if (oldest === undefined || oldest.expires - this.#limits.idle + this.#limits.grace > now) return false;
    this.#close(oldest);
    return true;
  }

  /** An identifier that no session has on either side, nor is about to have; undefined where there is none left. */
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
   * Takes no more requests into a session, because a client now has its external identifier as its own: the next
   * request opens another. Answers that are under way still come in.
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

/** A session, and its place among the others by use. */
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
 * The sessions in the order of their last use, which is also the order in which they expire: a list through the
 * sessions themselves, so that every step takes the same short time however many there are.
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

  /** Takes a session out. */
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
