/**
 * Who takes part in a stage, as a demo names them.
 *
 * @module
 */

/** Who sends a ping; whatever answers out there; the onion proxy. A router is `router` and its number. */
export const PING = "ping", WORLD = "world", PROXY = "proxy";

/** A party as a capture file names it, `router1` say, in two words. */
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

/** Several things in words: `a`, `a and b`, `a, b and c`. */
export function listed(things: readonly string[]): string {
  const last = things.at(-1) ?? "";
  return things.length < 2 ? last : `${things.slice(0, -1).join(", ")} and ${last}`;
}
