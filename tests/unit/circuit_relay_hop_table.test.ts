import assert from "node:assert/strict";
import fc from "fast-check";
import { HOP_LIMITS, type HopCircuit, HopTable } from "../../src/circuit/relay/hop_table.ts";
import { Layer } from "../../src/crypto/layer.ts";
import { KEY } from "../../src/crypto/provider.ts";
import { PROVIDER } from "../support/crypto.ts";
import { pattern, poisoned } from "../support/packets.ts";

/** Router 3 among four neighbours: the proxy, and routers 1, 2 and 4. */
const [PROXY, ONE, TWO] = [0, 1, 2];
const IDLE = 1000;

function table(circuits = 4096): HopTable {
  return new HopTable(3, 4, { circuits, idle: IDLE });
}

/** Adds a circuit without a layer. */
function add(table: HopTable, neighbour: number, id: number, now = 0) {
  return table.add(neighbour, id, undefined, now);
}

Deno.test("hop table: finds a circuit from both sides, by neighbour and id", () => {
  const hops = table();
  const circuit = add(hops, PROXY, 0x01);
  assert.equal(hops.incoming(PROXY, 0x01), circuit);
  assert.equal(hops.incoming(ONE, 0x01), undefined, "another neighbour");
  assert.equal(hops.incoming(PROXY, 0x02), undefined);
  assert.equal(hops.outgoing(PROXY, 0x01), undefined, "the other side");

  const next = hops.extend(circuit, TWO);
  assert.deepEqual(next, { kind: "extending", neighbour: TWO, id: 0x301 });
  assert.equal(circuit.next, next);
  assert.equal(hops.outgoing(TWO, 0x301), circuit);
  assert.equal(hops.outgoing(ONE, 0x301), undefined);
  assert.equal(hops.incoming(TWO, 0x301), undefined);
  assert.equal(hops.incoming(PROXY, 0x01), circuit, "unchanged");
});

Deno.test("hop table: keeps circuits apart that have one id on several links", () => {
  const hops = table();
  const circuits = [PROXY, ONE, TWO].map((neighbour) => add(hops, neighbour, 0x101));
  assert.deepEqual([PROXY, ONE, TWO].map((neighbour) => hops.incoming(neighbour, 0x101)), circuits);
  assert.equal(hops.size, 3);
});

Deno.test("hop table: never gives a handle twice", () => {
  const hops = table();
  const first = add(hops, PROXY, 0x01);
  hops.remove(first);
  const second = add(hops, PROXY, 0x01);
  assert.notEqual(first.handle, second.handle);
  assert.ok(first.handle > 0);
  assert.equal(hops.byHandle(second.handle), second);
  assert.equal(hops.byHandle(first.handle), undefined);
});

Deno.test("hop table: removes a circuit from both sides, and wipes its keys", () => {
  const hops = table();
  const [send, receive] = [pattern(KEY, 1), pattern(KEY, 2)];
  const layer = new Layer(PROVIDER, { send, receive });
  const circuit = hops.add(PROXY, 0x01, layer, 0);
  hops.extend(circuit, TWO);
  hops.remove(circuit);
  assert.equal(hops.incoming(PROXY, 0x01), undefined);
  assert.equal(hops.outgoing(TWO, 0x301), undefined);
  assert.equal(hops.size, 0);
  assert.throws(() => layer.seal(poisoned(), 0x64), "the key is wiped");
});

Deno.test("hop table: chooses free ids with the router's number", () => {
  const hops = table();
  const circuits = [0x01, 0x02, 0x03].map((id) => add(hops, PROXY, id));
  assert.deepEqual(circuits.map((circuit) => hops.extend(circuit, TWO).id), [0x301, 0x302, 0x303]);
});

Deno.test("hop table: is full at its limit, direct circuits included", () => {
  const hops = table(2);
  hops.addDirect(PROXY, 0x01);
  assert.equal(hops.isFull, false);
  const circuit = add(hops, PROXY, 0x02);
  assert.equal(hops.isFull, true);
  hops.remove(circuit);
  assert.equal(hops.isFull, false);
  assert.deepEqual(HOP_LIMITS, { circuits: 4096, idle: 660_000 });
});

Deno.test("hop table: removes a circuit that has been idle too long", () => {
  const hops = table();
  assert.equal(hops.deadline, Infinity);
  const used = add(hops, PROXY, 0x01, 0);
  add(hops, PROXY, 0x02, 100);
  assert.equal(hops.deadline, IDLE);
  used.usedAt = 900;
  hops.expire(IDLE - 1);
  assert.equal(hops.size, 2);
  hops.expire(IDLE);
  assert.equal(hops.size, 2, "one was used, and the other is younger");
  assert.equal(hops.deadline, IDLE + 100);
  hops.expire(IDLE + 100);
  assert.deepEqual([hops.size, hops.incoming(PROXY, 0x02)], [1, undefined]);
  assert.equal(hops.deadline, IDLE + 900);
  hops.expire(IDLE + 900);
  assert.equal(hops.size, 0);
  assert.equal(hops.deadline, Infinity, "nothing left to check");
});

Deno.test("hop table: removes an idle circuit on the exact millisecond", () => {
  for (const [now, left] of [[IDLE + 99, 1], [IDLE + 100, 0]] as const) {
    const hops = table();
    add(hops, PROXY, 0x01, 0).usedAt = 100;
    hops.expire(now);
    assert.equal(hops.size, left, `at ${now} ms`);
  }
});

Deno.test("hop table: never removes a direct circuit", () => {
  const hops = table();
  hops.addDirect(PROXY, 0x01);
  assert.equal(hops.deadline, Infinity);
  add(hops, PROXY, 0x02);
  hops.expire(1e9);
  assert.equal(hops.size, 1);
  assert.equal(hops.deadline, Infinity);
});

Deno.test("hop table: agrees with a plain list in any order of events", () => {
  interface Plain {
    readonly circuit: HopCircuit;
    readonly previous: number;
    readonly incoming: number;
  }
  const step = fc.record({
    kind: fc.constantFrom("add", "add", "extend", "use", "remove", "wait"),
    nth: fc.nat(20),
    neighbour: fc.nat(3),
    ms: fc.nat(400),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
    const hops = table(8);
    let list: Plain[] = [];
    let now = 0;
    for (const { kind, nth, neighbour, ms } of steps) {
      const one = list[nth % list.length];
      if (kind === "add") {
        const isTaken = list.some(({ previous, incoming }) => previous === neighbour && incoming === nth + 1);
        if (hops.isFull || isTaken) continue;
        const circuit = add(hops, neighbour, nth + 1, now);
        list.push({ circuit, previous: neighbour, incoming: nth + 1 });
      } else if (kind === "wait") {
        now += ms;
        hops.expire(now);
        for (const { circuit } of list) {
          const idle = now - circuit.usedAt;
          const isThere = hops.byHandle(circuit.handle) === circuit;
          assert.equal(isThere, idle < IDLE, `idle for ${idle} ms`);
        }
        list = list.filter(({ circuit }) => hops.byHandle(circuit.handle) === circuit);
      } else if (one !== undefined && kind === "extend") {
        if (one.circuit.next === undefined) hops.extend(one.circuit, neighbour);
      } else if (one !== undefined && kind === "use") one.circuit.usedAt = now;
      else if (one !== undefined) {
        hops.remove(one.circuit);
        list = list.filter((each) => each !== one);
      }
      assert.equal(hops.size, list.length);
      assert.equal(hops.isFull, list.length >= 8);
      assert.equal(hops.deadline < Infinity, list.length > 0);
      for (const { circuit, previous, incoming } of list) {
        assert.equal(hops.incoming(previous, incoming), circuit);
        const { next } = circuit;
        if (next !== undefined) assert.equal(hops.outgoing(next.neighbour, next.id), circuit);
      }
    }
  }));
});
