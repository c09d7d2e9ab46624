/**
 * Routers that die and come back, in a whole network in memory. A dead router is silent at first;
 * then the others learn of it; then a new process takes its place.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { CircuitKindName } from "../../src/circuit/kind.ts";
import { HOP, Onion, type OnionOptions } from "../support/circuits.ts";
import { PROVIDER } from "../support/crypto.ts";
import { cell } from "../support/packets.ts";
import { packetsOf, type Ping, pingOf, tell } from "../support/ping.ts";

const KINDS: readonly CircuitKindName[] = ["direct", "plain", "sealed"];

/** Four routers; where circuits are built, with two hops. */
function make(kind: CircuitKindName, options: OnionOptions = {}): Onion {
  const circuits = kind === "direct" ? {} : { hops: 2, ...(kind === "sealed" && { crypto: PROVIDER }) };
  return new Onion({ ...circuits, ...options });
}

/** A router's process ends, and the others learn of it at once. */
function die(onion: Onion, number: number): void {
  onion.network.kill(number);
  onion.network.lose(number);
}

function circuitsOf(onion: Onion): number {
  return onion.network.circuits.reduce((sum, count) => sum + count, 0);
}

const UNREACHABLE = [`${HOP}: net unreachable`];

Deno.test("restart: a direct circuit to a dead router is refused, the others work, and it comes back", () => {
  const onion = make("direct");
  // As numbers modulo 4, these are routers 1 to 4.
  const destinations = [152, 153, 154, 155].map((host) => `128.30.2.${host}`);
  for (const victim of [1, 2, 3, 4]) {
    die(onion, victim);
    destinations.forEach((destination, index) => {
      if (index + 1 === victim) assert.deepEqual(onion.ping({ destination }), UNREACHABLE);
      else onion.assertWorks({ destination });
    });
    onion.network.restart(victim);
    for (const destination of destinations) onion.assertWorks({ destination });
  }
  assert.deepEqual(onion.dropped(), [[0, "no-circuit", 4]]);
  assert.deepEqual([onion.count("routers-lost"), onion.count("routers-restarted")], [4, 4]);
});

for (const kind of ["plain", "sealed"] as const) {
  Deno.test(`restart: a ${kind} circuit is rebuilt without the dead router, wherever that was`, () => {
    for (let seed = 1; seed <= 8; seed++) {
      for (const hop of [0, 1]) {
        const onion = make(kind, { network: { seed } });
        onion.assertWorks();
        const victim = onion.path[hop]!;
        die(onion, victim);
        onion.network.run();
        assert.ok(!onion.path.includes(victim));
        onion.assertWorks();
        assert.equal(circuitsOf(onion), 2, "nothing is left of the lost circuit");
        onion.network.restart(victim);
        onion.assertWorks();
        assert.deepEqual(onion.dropped(), []);
        assert.deepEqual([onion.count("circuits-lost"), onion.count("circuits-built")], [1, 2]);
      }
    }
  });

  Deno.test(`restart: with too few routers, packets of ${kind} circuits are refused at once`, () => {
    const onion = make(kind);
    onion.assertWorks();
    for (const victim of [1, 2, 3]) die(onion, victim);
    assert.deepEqual(onion.ping(), UNREACHABLE);
    onion.network.restart(2);
    onion.assertWorks();
    assert.deepEqual(onion.path.toSorted(), [2, 4]);
  });

  Deno.test(`restart: packets that wait for a ${kind} circuit take one without the dead router`, () => {
    const onion = make(kind, { network: { random: () => 0 } });
    onion.network.kill(2);
    assert.deepEqual(onion.ping(), [], "router 2 does not answer");
    onion.network.lose(2);
    assert.deepEqual(onion.listen().map(tell), [`reply from ${pingOf().destination}: id 7, seq 1, ttl 60`]);
  });

  Deno.test(`restart: a ${kind} circuit that is being replaced stays, unless it is hit itself`, () => {
    let times = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const isHit = seed % 2 === 0;
      const onion = make(kind, { limits: { lifetime: 10_000 }, network: { seed } });
      onion.assertWorks();
      const { path } = onion;
      const others = [1, 2, 3, 4].filter((router) => !path.includes(router));
      onion.until(8000);
      onion.assertWorks();
      for (const router of others) onion.network.kill(router);
      onion.until(9000);
      const other = onion.path.find((router) => others.includes(router));
      if (other === undefined) continue;
      times++;
      const victim = isHit ? path[1]! : other;
      if (isHit) onion.network.kill(victim);
      onion.network.lose(victim);
      onion.network.run();
      assert.equal(onion.count("circuits-lost"), Number(isHit));
      if (!isHit) onion.assertWorks();
      for (const router of others) if (router !== victim) onion.network.lose(router);
      if (isHit) assert.deepEqual(onion.ping(), UNREACHABLE);
      else onion.assertWorks();
    }
    assert.ok(times > 6, "most replacements take another path");
  });

  Deno.test(`restart: a drained ${kind} circuit goes with its router`, () => {
    const onion = make(kind, { limits: { lifetime: 10_000 }, network: { seed: 1 } });
    onion.assertWorks();
    const first = onion.path;
    onion.until(8000);
    onion.assertWorks();
    onion.until(9000);
    assert.equal(circuitsOf(onion), 4, "the old one drains");
    const victim = first.find((router) => !onion.path.includes(router)) ?? first[0]!;
    die(onion, victim);
    onion.network.run();
    assert.equal(circuitsOf(onion), 2);
    onion.assertWorks();
  });
}

Deno.test("restart: a stranger at the port of a dead router is nobody", () => {
  const onion = make("direct");
  const { proxy, routers } = onion.network.ports;
  die(onion, 4);
  onion.arrive(routers[3]!, proxy, cell(0x54, 4, new Uint8Array(28)));
  onion.arrive(routers[3]!, routers[0]!, cell(0x51, 1, new Uint8Array(28)));
  onion.network.restart(4);
  onion.arrive(routers[3]!, proxy, cell(0x54, 4, new Uint8Array(28)));
  assert.deepEqual(onion.dropped(), [[0, "unknown-peer", 2], [1, "unknown-peer", 1]]);
});

Deno.test("restart: a router refuses to extend to a dead one", () => {
  const onion = make("plain");
  const { proxy, routers } = onion.network.ports;
  const extend = (port: number) => cell(0x52, 99, Uint8Array.of(127, 0, 0, 1, port >> 8, port & 255));
  onion.arrive(proxy, routers[0]!, cell(0x52, 99, new Uint8Array()));
  const before = routers[1]!;
  die(onion, 2);
  onion.arrive(proxy, routers[0]!, extend(before));
  onion.network.restart(2);
  onion.arrive(proxy, routers[0]!, extend(before));
  assert.equal(onion.count("bad-extend", 1), 2);
  onion.arrive(proxy, routers[0]!, extend(onion.network.ports.routers[1]!));
  assert.deepEqual(onion.network.circuits, [1, 1, 0, 0]);
});

/** A step of the property test: a router takes its next state, time passes, or a ping leaves. */
type Step =
  | { readonly kind: "turn"; readonly router: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "ping"; readonly host: number };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("turn" as const), router: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 3000 }) }),
  fc.record({ kind: fc.constant("ping" as const), host: fc.integer({ min: 1, max: 250 }) }),
);

for (const kind of KINDS) {
  Deno.test(`restart: ${kind}, routers die and come back at any moment, and no ping is lost in silence`, () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 60 }), fc.nat(), (steps, seed) => {
        // Circuits are replaced, too.
        const onion = make(kind, { limits: { lifetime: 10_000 }, network: { seed } });
        /** The state of each router: `dead` is not known yet. */
        const states: ("up" | "dead" | "lost")[] = ["up", "up", "up", "up"];
        const turn = (router: number) => {
          const { network } = onion;
          switch (states[router - 1]!) {
            case "up":
              network.kill(router);
              states[router - 1] = "dead";
              break;
            case "dead":
              network.lose(router);
              states[router - 1] = "lost";
              break;
            case "lost":
              network.restart(router);
              states[router - 1] = "up";
          }
          network.run();
        };
        /** The pings without an answer, by sequence number, and whether one may be lost. */
        const waiting = new Map<number, { readonly ping: Ping; mayBeLost: boolean }>();
        const hear = (heard: ReturnType<Onion["listen"]>) => {
          for (const each of heard) {
            const quote = each.type === 0 ? each.payload : each.payload.subarray(8 + 20);
            const sequence = quote[6]! << 8 | quote[7]!;
            const sent = waiting.get(sequence);
            assert.ok(sent !== undefined, `an answer too many, to ${sequence}`);
            const { destination } = sent.ping;
            const said = [`reply from ${destination}: id 7, seq ${sequence}, ttl 60`, ...UNREACHABLE];
            assert.ok(said.includes(tell(each)), tell(each));
            waiting.delete(sequence);
          }
        };
        const send = (ping: Ping) => {
          waiting.set(ping.sequence, { ping, mayBeLost: states.includes("dead") });
          onion.network.tun.inject(packetsOf(ping)[0]!);
          hear(onion.listen());
        };
        steps.forEach((step, sequence) => {
          if (step.kind === "turn") turn(step.router);
          if (step.kind === "wait") hear(onion.pass(step.ms));
          if (step.kind === "ping") send(pingOf({ destination: `128.30.2.${step.host}`, sequence }));
          hear(onion.listen());
          if (states.includes("dead")) { for (const sent of waiting.values()) sent.mayBeLost = true; }
        });
        for (const router of [1, 2, 3, 4]) while (states[router - 1] !== "up") turn(router);
        hear(onion.pass(20_000));
        for (const { ping, mayBeLost } of waiting.values()) assert.ok(mayBeLost, `${ping.sequence} is lost`);
        waiting.clear();
        for (const host of [1, 2, 3, 4]) {
          onion.assertWorks({ destination: `128.30.2.${host}`, sequence: 1000 + host });
        }
        assert.equal(circuitsOf(onion), kind === "direct" ? 4 : 2, "no circuit is left behind");
      }),
      { numRuns: 300 },
    );
  });
}
