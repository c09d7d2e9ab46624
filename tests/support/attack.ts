/**
 * The tools of an attacker who owns a link, and assertions that they are useless.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DropReason } from "../../src/trace/counters.ts";
import { LOWEST, Onion, type OnionOptions, portOf, PROXY } from "./circuits.ts";
import { assertAnswers, packetsOf, type Ping, pingOf } from "./ping.ts";

/**
 * One direction of a link, and the first party that notices a fault inside a sealed cell on it.
 */
export interface Way {
  readonly from: number;
  readonly to: number;
  /** The receiver: 0 for the proxy, or a router's number. */
  readonly receiver: number;
  /**
   * The party that can tell that a body is not authentic. Towards the exit, it is the receiver.
   * Towards the proxy, it is the proxy, because the hops before it have no key for what they seal.
   */
  readonly opener: number;
  readonly isOutward: boolean;
}

/** Both directions of each link of a circuit through these routers. */
export function waysOf(path: readonly number[]): Way[] {
  const parties = [0, ...path];
  const out = path.map((router, hop): Way => {
    return {
      from: PROXY + parties[hop]!,
      to: portOf(router),
      receiver: router,
      opener: router,
      isOutward: true,
    };
  });
  const back = out.toReversed().map(({ from, to }): Way => {
    return { from: to, to: from, receiver: from - PROXY, opener: 0, isOutward: false };
  });
  return [...out, ...back];
}

/** Both directions of each link of a circuit through routers 1, 2 and 3. */
export const WAYS: readonly Way[] = waysOf([1, 2, 3]);

/** The name of a direction in failures. */
export const nameOf = ({ from, to }: Way) => `${from} → ${to}`;

/** A network with a circuit through routers 1, 2 and 3, of four, that has carried some pings. */
export function establish(options: OnionOptions): Onion {
  const onion = new Onion({ hops: 3, network: { random: LOWEST }, ...options });
  for (const sequence of [101, 102]) onion.assertWorks({ sequence });
  assert.deepEqual(onion.path, [1, 2, 3]);
  assert.deepEqual(onion.dropped(), []);
  onion.left();
  return onion;
}

/** Intercepts the cell of one ping on a link. */
export function catchOne(onion: Onion, way: Way, ping: Partial<Ping>): Uint8Array {
  const caught = onion.intercept(way.from, way.to, () => {
    assert.deepEqual(onion.exchange(packetsOf(pingOf(ping))), []);
  });
  assert.equal(caught.length, 1);
  onion.left();
  return caught[0]!;
}

/**
 * Delivers an intercepted cell after all, and asserts that its ping is answered.
 */
export function assertGenuine(onion: Onion, way: Way, cell: Uint8Array, ping: Partial<Ping>): void {
  const heard = onion.arrive(way.from, way.to, cell);
  assert.equal(heard.length, 1, `${nameOf(way)}: the genuine cell is taken after the attack`);
  assertAnswers(heard[0]!, pingOf(ping));
  onion.left();
}

/**
 * Asserts that a datagram only moves one counter: nothing reaches the host or the world, no party
 * answers, and no circuit changes.
 */
export function assertUseless(
  onion: Onion,
  { from, to, isOutward, opener }: Way,
  bytes: Uint8Array,
  party: number,
  reason: DropReason,
  what: string,
): void {
  const circuits = onion.network.circuits.join();
  onion.watch();
  const drops = onion.dropsIn(() => assert.deepEqual(onion.arrive(from, to, bytes), [], what));
  onion.unwatch();
  assert.deepEqual(drops, [[party, reason, 1]], what);
  assert.deepEqual(onion.left().flat(), [], what);
  const crossed = onion.crossed();
  if (isOutward || party !== opener) assert.equal(crossed.length, 0, `${what}: nobody passes it on`);
  else assert.ok(crossed.every((each) => each.to < each.from), `${what}: nobody answers`);
  assert.equal(onion.network.circuits.join(), circuits, what);
}

/** The counter in front of a sealed cell's body. */
export function counterOf(cell: Uint8Array): bigint {
  return new DataView(cell.buffer, cell.byteOffset + 8).getBigUint64(0, true);
}

/**
 * The drop reason of a sealed cell with one flipped bit, after all earlier counters have arrived.
 */
export function flawOf(way: Way, cell: Uint8Array, flipped: Uint8Array): [party: number, reason: DropReason] {
  const at = cell.findIndex((byte, index) => byte !== flipped[index]);
  if (at === 0) return [way.receiver, "unexpected-cell"];
  if (at < 4) return [way.receiver, "bad-cell"];
  if (at < 8) {
    const isZero = flipped.subarray(4, 8).every((byte) => byte === 0);
    return [way.receiver, isZero ? "bad-cell" : "unknown-circuit"];
  }
  return [way.opener, counterOf(flipped) < counterOf(cell) ? "replayed" : "forged"];
}

/** A cell with other first bytes. */
export function withHeader(cell: Uint8Array, { type, id }: { type?: number; id?: number }): Uint8Array {
  const changed = cell.slice();
  if (type !== undefined) changed[0] = type;
  if (id !== undefined) new DataView(changed.buffer).setUint32(4, id);
  return changed;
}
