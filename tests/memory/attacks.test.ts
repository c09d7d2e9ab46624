/**
 * Attacks on the cells of a sealed circuit by someone who controls a link or a router. The first
 * party that can detect a change drops and counts the cell, and the circuit continues as if nothing
 * had come.
 *
 * A dishonest router is equal to an attacker on the link beyond it. It can change only the layers
 * inside its own: outward after it removes its layer, and homeward before it adds its layer.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { WorldHost } from "../../src/sim/world.ts";
import {
  assertGenuine,
  assertUseless,
  catchOne,
  counterOf,
  establish,
  flawOf,
  nameOf,
  type Way,
  WAYS,
  withHeader,
} from "../support/attack.ts";
import { flip, PROVIDER, testEach } from "../support/crypto.ts";
import { LOWEST, Onion, portOf, PROXY } from "../support/circuits.ts";
import { address, cell, concat } from "../support/packets.ts";
import { packetsOf, pingOf } from "../support/ping.ts";
import { Random } from "../support/random.ts";
import type { IpAddress } from "../../src/ip/address.ts";

/** Number of counters in a replay window, as in docs/protocol.md. */
const WINDOW = 8128;

const [OUT_1, OUT_2, OUT_3, BACK_3, BACK_2, BACK_1] = WAYS as readonly [Way, Way, Way, Way, Way, Way];

testEach("attack: a flipped bit in a short cell, on any link, both ways", (crypto) => {
  const onion = establish({ crypto });
  for (const [index, way] of WAYS.entries()) {
    const ping = { size: 0, sequence: index };
    const genuine = catchOne(onion, way, ping);
    for (let bit = 0; bit < genuine.length * 8; bit++) {
      const flipped = flip(genuine, bit);
      assertUseless(onion, way, flipped, ...flawOf(way, genuine, flipped), `${nameOf(way)}, bit ${bit}`);
    }
    assertGenuine(onion, way, genuine, ping);
  }
  onion.assertWorks({ sequence: 200 });
});

testEach("attack: flipped bits in a long cell, on any link, both ways", (crypto) => {
  const onion = establish({ crypto });
  const random = new Random(4);
  for (const [index, way] of WAYS.entries()) {
    const ping = { size: 1400, sequence: index };
    const genuine = catchOne(onion, way, ping);
    const bits = genuine.length * 8;
    const chosen = Array.from({ length: 100 }, () => random.below(bits));
    for (const bit of [...chosen, bits - 1, bits - 128, bits - 129]) {
      const flipped = flip(genuine, bit);
      assertUseless(onion, way, flipped, ...flawOf(way, genuine, flipped), `${nameOf(way)}, bit ${bit}`);
    }
    assertGenuine(onion, way, genuine, ping);
  }
});

testEach("attack: a cell cut off after any byte, or with extra bytes", (crypto) => {
  const onion = establish({ crypto });
  for (const [index, way] of WAYS.entries()) {
    const ping = { size: 16, sequence: index };
    const genuine = catchOne(onion, way, ping);
    for (let length = 0; length < genuine.length; length++) {
      const [party, reason] = length < 8
        ? [way.receiver, "bad-cell"] as const
        : [way.opener, length < 8 + 24 ? "truncated" : "forged"] as const;
      assertUseless(
        onion,
        way,
        genuine.subarray(0, length),
        party,
        reason,
        `${nameOf(way)}, ${length} bytes`,
      );
    }
    for (const more of [1, 16, 24, 1000]) {
      const longer = concat(genuine, new Uint8Array(more));
      assertUseless(onion, way, longer, way.opener, "forged", `${nameOf(way)}, ${more} bytes more`);
    }
    assertGenuine(onion, way, genuine, ping);
  }
});

testEach("attack: a repeated cell, at once and after others", (crypto) => {
  const onion = establish({ crypto });
  for (const [index, way] of WAYS.entries()) {
    const ping = { sequence: 1000 * index };
    const genuine = catchOne(onion, way, ping);
    assertGenuine(onion, way, genuine, ping);
    for (let time = 0; time < 5; time++) {
      assertUseless(onion, way, genuine, way.opener, "replayed", `${nameOf(way)}, ${time} later`);
      for (let more = 1; more < 50; more++) onion.assertWorks({ sequence: 1000 * index + 50 * time + more });
      onion.left();
    }
  }
});

testEach("attack: reordered cells, which are all accepted, once each", (crypto) => {
  const onion = establish({ crypto });
  const random = new Random(5);
  for (const way of WAYS) {
    const pings = Array.from({ length: 100 }, (_, sequence) => pingOf({ sequence }));
    const caught = onion.intercept(way.from, way.to, () => {
      onion.exchange(pings.flatMap((ping) => packetsOf(ping)));
    });
    const drops = onion.dropsIn(() => {
      const heard = random.shuffle([...caught, ...caught]).flatMap((each) =>
        onion.arrive(way.from, way.to, each)
      );
      const sequences = heard.map(({ payload }) => payload[6]! << 8 | payload[7]!);
      assert.deepEqual(sequences.sort((a, b) => a - b), pings.map(({ sequence }) => sequence), nameOf(way));
    });
    assert.deepEqual(drops, [[way.opener, "replayed", 100]]);
  }
});

Deno.test("attack: a late cell, accepted at the edge of the replay window and rejected beyond", () => {
  const onion = establish({ crypto: PROVIDER });
  let sequence = 0;
  const others = (count: number) => {
    for (let left = count; left > 0;) {
      const burst = Math.min(left, 60);
      const packets = Array.from(
        { length: burst },
        () => packetsOf(pingOf({ size: 0, sequence: ++sequence }))[0]!,
      );
      assert.equal(onion.exchange(packets).length, burst);
      left -= burst;
    }
    onion.left();
  };
  const late = (sequence: number) => ({ id: 8, sequence });
  const [tooLateOut, lateOut] = [1, 2].map((number) => catchOne(onion, OUT_1, late(number)));
  const [tooLateBack, lateBack] = [3, 4].map((number) => catchOne(onion, BACK_1, late(number)));
  others(WINDOW - 3); // and the two before them, which went out after the late one
  assertUseless(onion, OUT_1, tooLateOut!, 1, "replayed", "out");
  assertGenuine(onion, OUT_1, lateOut!, late(2));
  others(1); // its answer came, too
  assertUseless(onion, BACK_1, tooLateBack!, 0, "replayed", "back");
  assertGenuine(onion, BACK_1, lateBack!, late(4));
  onion.assertWorks();
});

testEach("attack: a cell with the id of another circuit on the same link", (crypto) => {
  const [mine, other] = ["10.0.2.15", "10.0.2.16"];
  const onion = establish({ crypto });
  for (const sequence of [101, 102]) onion.assertWorks({ source: other, sequence });
  onion.left();
  assert.deepEqual(onion.path, [1, 2, 3], "the same path");
  for (const [index, way] of WAYS.entries()) {
    const caught = [mine, other].map((source) => catchOne(onion, way, { source, sequence: index }));
    const ids = caught.map((each) => each.subarray(4, 8));
    const swapped = caught.map((each, which) =>
      concat(each.subarray(0, 4), ids[1 - which]!, each.subarray(8))
    );
    for (const each of swapped) assertUseless(onion, way, each, way.opener, "forged", nameOf(way));
    for (const [which, source] of [mine, other].entries()) {
      assertGenuine(onion, way, caught[which]!, { source, sequence: index });
    }
  }
});

testEach("attack: a cell diverted to another router, or another link", (crypto) => {
  const onion = establish({ crypto });
  for (const [index, way] of WAYS.entries()) {
    const ping = { sequence: index };
    const genuine = catchOne(onion, way, ping);
    for (const [party, to] of [PROXY, ...[1, 2, 3, 4].map(portOf)].entries()) {
      for (const from of [PROXY, ...[1, 2, 3, 4].map(portOf)]) {
        const isGenuine = from === way.from && to === way.to;
        if (isGenuine || from === to) continue;
        const isReflected = from === way.to && to === way.from;
        const reason = isReflected || (to === PROXY && way.isOutward) ? "unexpected-cell" : "unknown-circuit";
        const astray = { ...way, from, to };
        assertUseless(onion, astray, genuine, party, reason, `${nameOf(way)} as ${nameOf(astray)}`);
      }
    }
    assertGenuine(onion, way, genuine, ping);
  }
});

testEach("attack: a cell returned to its sender under a type that it expects", (crypto) => {
  for (const [index, way] of WAYS.entries()) {
    const dead = "18.9.22.70";
    const host = (host: IpAddress): WorldHost => host === address(dead) ? "silent" : "answers";
    const onion = establish({ crypto, world: { host }, network: { random: LOWEST, mtu: 576 } });
    // Let the counters of that direction run ahead, so that the cell does not count as replayed.
    for (let sequence = 1; sequence <= 5; sequence++) {
      if (way.isOutward) assert.deepEqual(onion.ping({ destination: dead, sequence }), []);
      else {assert.equal(
          onion.exchange(packetsOf(pingOf({ size: 1400, sequence }))).length,
          1,
          "in three pieces",
        );}
    }
    const ping = { sequence: index };
    const genuine = catchOne(onion, way, ping);
    const reflected = withHeader(genuine, { type: way.isOutward ? 0x64 : 0x61 });
    const mirror = WAYS.find(({ from, to }) => from === way.to && to === way.from)!;
    assertUseless(onion, mirror, reflected, mirror.opener, "forged", nameOf(way));
    assertGenuine(onion, way, genuine, ping);
  }
});

testEach(
  "attack: a cell with another type, which can neither extend nor destroy a circuit",
  (crypto) => {
    const onion = establish({ crypto });
    for (const [index, way] of WAYS.entries()) {
      const ping = { sequence: index };
      const genuine = catchOne(onion, way, ping);
      for (let type = 0; type < 256; type++) {
        if (type === genuine[0]) continue;
        const retyped = withHeader(genuine, { type });
        const [party, reason] = way.isOutward && (type === 0x62 || type === 0x66)
          ? [way.receiver, "forged"] as const
          // It could be the answer of a further hop, but the proxy expects none.
          : !way.isOutward && type === 0x63
          ? [0, "unexpected-cell"] as const
          : [way.receiver, "unexpected-cell"] as const;
        assertUseless(onion, way, retyped, party, reason, `${nameOf(way)}, type ${type}`);
      }
      assertGenuine(onion, way, genuine, ping);
    }
  },
);

testEach("attack: a destroy cell from anyone but the proxy, with any body", (crypto) => {
  const onion = establish({ crypto });
  const ids = { [nameOf(OUT_1)]: 0x01, [nameOf(OUT_2)]: 0x101, [nameOf(OUT_3)]: 0x201 };
  for (const way of [OUT_1, OUT_2, OUT_3]) {
    const id = ids[nameOf(way)]!;
    assertUseless(onion, way, cell(0x66, id, new Uint8Array()), way.receiver, "truncated", nameOf(way));
    const noise = new Uint8Array(24);
    noise[3] = 1; // a counter that has not come yet
    assertUseless(onion, way, cell(0x66, id, noise), way.receiver, "forged", nameOf(way));
  }
  for (const way of [BACK_3, BACK_2, BACK_1]) {
    const id = ids[`${way.to} → ${way.from}`]!;
    const destroy = cell(0x66, id, new Uint8Array());
    assertUseless(onion, way, destroy, way.receiver, "unexpected-cell", nameOf(way));
  }
  onion.assertWorks();
});

testEach(
  "attack: a clear cell on a sealed network, with a known or an unknown id",
  (crypto) => {
    const onion = establish({ crypto });
    const packet = packetsOf(pingOf())[0]!;
    const ways = WAYS.map((way, index) => ({ ...way, id: [0x01, 0x101, 0x201, 0x201, 0x101, 0x01][index]! }));
    for (const { id, ...way } of ways) {
      for (const type of [0x51, 0x52, 0x53, 0x54]) {
        for (const body of [packet, new Uint8Array()]) {
          const known = cell(type, id, body);
          assertUseless(onion, way, known, way.receiver, "unexpected-cell", `${nameOf(way)}, type ${type}`);
          const isForProxy = way.receiver === 0 && (type === 0x53 || type === 0x54);
          const reason = isForProxy ? "unknown-circuit" : "unexpected-cell";
          assertUseless(
            onion,
            way,
            cell(type, 0x77, body),
            way.receiver,
            reason,
            `${nameOf(way)}, type ${type}`,
          );
        }
      }
      // A packet in the clear in a cell that should be sealed.
      const unsealed = cell(way.isOutward ? 0x61 : 0x64, id, packet);
      assertUseless(onion, way, unsealed, way.opener, "forged", nameOf(way));
    }
    onion.assertWorks();
  },
);

testEach("attack: a genuine cell from a stranger, which is not even read", (crypto) => {
  const onion = establish({ crypto });
  for (const [index, way] of WAYS.entries()) {
    const ping = { sequence: index };
    const genuine = catchOne(onion, way, ping);
    for (const from of [1, PROXY - 1, portOf(5)]) {
      assertUseless(onion, { ...way, from }, genuine, way.receiver, "unknown-peer", nameOf(way));
    }
    assertGenuine(onion, way, genuine, ping);
  }
});

Deno.test("attack: noise of every length, on every link", () => {
  const onion = establish({ crypto: PROVIDER });
  const random = new Random(6);
  for (let length = 0; length < 200; length++) {
    const way = random.pick(WAYS);
    const noise = new Uint8Array(length);
    random.fill(noise);
    const circuits = onion.network.circuits.join();
    assert.deepEqual(onion.arrive(way.from, way.to, noise), []);
    assert.deepEqual(onion.left().flat(), []);
    assert.equal(onion.network.circuits.join(), circuits);
  }
  onion.assertWorks();
});

testEach("attack: a counter near 2^64", (crypto) => {
  const onion = establish({ crypto });
  for (const [index, way] of WAYS.entries()) {
    const ping = { sequence: index };
    const genuine = catchOne(onion, way, ping);
    for (const counter of [2n ** 48n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
      const far = genuine.slice();
      new DataView(far.buffer).setBigUint64(8, counter, true);
      assert.equal(counterOf(far), counter);
      assertUseless(onion, way, far, way.opener, "forged", `${nameOf(way)}, counter ${counter}`);
    }
    assertGenuine(onion, way, genuine, ping);
  }
});

testEach("attack: on some hops only, which leaves the other circuits alone", (crypto) => {
  const onion = new Onion({ routers: 6, hops: 2, crypto, network: { seed: 9 } });
  const clients = Array.from({ length: 20 }, (_, index) => `10.0.3.${index + 1}`);
  for (const source of clients) onion.assertWorks({ source });
  onion.network.medium.tamper = (
    from,
    to,
    bytes,
  ) => [from === portOf(1) || to === portOf(1) ? flip(bytes, 99) : bytes];
  const answered = clients.filter((source) => onion.ping({ source, sequence: 2 }).length === 1).length;
  onion.unwatch();
  assert.ok(answered > 0 && answered < clients.length);
  for (const source of clients) onion.assertWorks({ source, sequence: 3 });
});
