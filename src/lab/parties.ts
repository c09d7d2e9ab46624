/**
 * The parties of a stage, as a demo names them.
 *
 * @module
 */

/**
 * The sender of pings, the hosts that answer, and the onion proxy. Routers are `router 1` and so
 * on.
 */
export const PING = "ping", WORLD = "world", PROXY = "proxy";

/** The party that a capture file names, e.g. `router 1` for `router1`. */
export function partyOf(name: string): string {
  return name.replace(/^router(?=\d)/, "router ");
}

/** A party within a sentence. */
export function the(party: string): string {
  return party === PROXY || party === WORLD ? `the ${party}` : party;
}

/** A party at the beginning of a sentence. */
export function The(party: string): string {
  const text = the(party);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A list in words: `a`, `a and b`, `a, b and c`. */
export function listed(things: readonly string[]): string {
  const last = things.at(-1) ?? "";
  return things.length < 2 ? last : `${things.slice(0, -1).join(", ")} and ${last}`;
}
