/**
 * The tools of somebody who owns a link, and the proof that they are of no use.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { DropReason } from "../../src/trace/counters.ts";
import { LOWEST, Onion, type OnionOptions, portOf, PROXY } from "./circuits.ts";
import { assertAnswers, packetsOf, type Ping, pingOf } from "./ping.ts";

/**
 * A link in one direction, and where what is wrong inside a sealed cell on it can first be noticed.
 */
export interface Way {
  readonly from: number;
  readonly to: number;
  /** Who receives: 0 for the proxy, or a router's number. */
  readonly receiver: number;
  /**
   * Who can tell that a body is not authentic. Towards the exit it is who receives it. Towards the
   * proxy it is the proxy, for the hops before it have no key for what they add their layers to.
   */
  readonly opener: number;
  readonly isOutward: boolean;
}

/** The ways of a circuit by these routers: out, and back. */
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

/** The ways of a circuit by routers 1, 2 and 3. */
export const WAYS: readonly Way[] = waysOf([1, 2, 3]);

/** How a way is called where a test fails. */
export const nameOf = ({ from, to }: Way) => `${from} → ${to}`;

/** A network with a circuit by routers 1, 2 and 3, of four, that has carried a ping or two. */
export function establish(options: OnionOptions): Onion {
  const onion = new Onion({ hops: 3, network: { random: LOWEST }, ...options });
  for (const sequence of [101, 102]) onion.assertWorks({ sequence });
  assert.deepEqual(onion.path, [1, 2, 3]);
  assert.deepEqual(onion.dropped(), []);
  onion.left();
  return onion;
}

/** Takes the cell of one ping out of a link. */
export function catchOne(onion: Onion, way: Way, ping: Partial<Ping>): Uint8Array {
  const caught = onion.intercept(way.from, way.to, () => {
    assert.deepEqual(onion.exchange(packetsOf(pingOf(ping))), []);
  });
  assert.equal(caught.length, 1);
  onion.left();
  return caught[0]!;
}

/**
 * Lets a cell that was taken out arrive after all: it is as good as ever, and its ping is answered.
 */
export function assertGenuine(onion: Onion, way: Way, cell: Uint8Array, ping: Partial<Ping>): void {
  const heard = onion.arrive(way.from, way.to, cell);
  assert.equal(heard.length, 1, `${nameOf(way)}: the genuine cell is taken after the attack`);
  assertAnswers(heard[0]!, pingOf(ping));
  onion.left();
}

/**
 * Asserts that a datagram does nothing but move one counter: nothing of it reaches host or world,
 * nobody answers it, no circuit comes or goes.
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
 * What is noticed first of a sealed cell with one bit flipped, before which every counter has come.
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
