import assert from "node:assert/strict";
import { CircuitBuilder } from "../../src/circuit/origin/builder.ts";
import { CIRCUIT_KINDS } from "../../src/circuit/kind.ts";
import { OriginCircuit } from "../../src/circuit/origin/origin_circuit.ts";
import { PROLOGUE } from "../../src/circuit/prologue.ts";
import { Layer } from "../../src/crypto/layer.ts";
import { respond } from "../../src/crypto/noise.ts";
import type { KeyPair } from "../../src/crypto/provider.ts";
import { flip, PROVIDER } from "../support/crypto.ts";
import { cell, concat, hex, pattern, poisoned } from "../support/packets.ts";
import { Routers } from "../support/routers.ts";
import { addressFromBits, LOOPBACK } from "../../src/ip/address.ts";

const ID = 0x07;
const [EXTEND_DONE, SEALED_EXTEND, SEALED_EXTEND_DONE, HANDSHAKE] = [0x53, 0x62, 0x63, 0x65];
const LINKS = [40_001, 40_002, 40_003, 40_004].map((port) => ({ address: LOOPBACK, port }));

/** A builder for this path. */
function makeBuild(
  path: readonly number[],
  kind: "plain" | "sealed",
  keys: readonly KeyPair[] = [],
): CircuitBuilder {
  const circuit = new OriginCircuit(ID, path, CIRCUIT_KINDS[kind], addressFromBits(0));
  const routers = LINKS.map((link, index) => {
    const key = keys[index]?.publicKey;
    return key === undefined ? { link } : { link, key };
  });
  return new CircuitBuilder(circuit, routers, kind === "sealed" ? PROVIDER : undefined);
}

/** The create or extend cell for the next hop. */
function asked(build: CircuitBuilder): Uint8Array<ArrayBuffer> {
  const buffer = poisoned();
  build.ask(buffer);
  return buffer.copy();
}

const take = (build: CircuitBuilder, answer: Uint8Array) => build.take(poisoned(answer));

Deno.test("circuit builder, plain: sends create to the first hop, then extend with each next hop's endpoint", () => {
  const build = makeBuild([3, 0, 2], "plain");
  assert.deepEqual([build.next, build.awaited], [3, EXTEND_DONE]);
  assert.deepEqual(asked(build), hex("52 000000 00000007"));
  assert.equal(take(build, hex("53 000000 00000007")), undefined);
  assert.equal(build.next, 0);
  assert.deepEqual(asked(build), hex("52 000000 00000007 7f000001 9c41"));
  assert.equal(
    take(build, hex("53 000000 00000007")),
    "unexpected-cell",
    "a repeated answer of the first hop",
  );
  assert.equal(take(build, hex("53 000000 00000007 7f000001 9c41")), undefined);
  assert.equal(build.next, 2);
  assert.deepEqual(asked(build), hex("52 000000 00000007 7f000001 9c43"));
  assert.equal(
    take(build, hex("53 000000 00000007 7f000001 9c41")),
    "unexpected-cell",
    "a repeated answer of the second hop",
  );
  assert.equal(take(build, hex("53 000000 00000007 7f000001 9c43")), undefined);
  assert.equal(build.next, undefined, "built");
});

Deno.test("circuit builder, plain: refuses a created cell with a body", () => {
  const build = makeBuild([0, 1], "plain");
  asked(build);
  assert.equal(take(build, hex("53 000000 00000007 00")), "unexpected-cell");
  assert.equal(build.next, 0, "the builder still waits");
  assert.equal(take(build, hex("53 000000 00000007")), undefined);
});

Deno.test("circuit builder, sealed: does the second handshake inside the first layer", () => {
  const keys = LINKS.map(() => PROVIDER.generateKeyPair());
  const build = makeBuild([1, 3], "sealed", keys);
  assert.equal(build.awaited, HANDSHAKE);
  const first = asked(build);
  assert.deepEqual(first.subarray(0, 8), hex("65 000000 00000007"));
  assert.equal(first.length, 8 + 48);
  const one = respond(PROVIDER, { keys: keys[1]!, prologue: PROLOGUE }, first.slice(8))!;
  using layer = new Layer(PROVIDER, one);
  assert.equal(take(build, cell(HANDSHAKE, ID, one.message)), undefined);

  assert.deepEqual([build.next, build.awaited], [3, SEALED_EXTEND_DONE]);
  const second = poisoned(asked(build));
  assert.deepEqual(second.copy().subarray(0, 8), hex("62 000000 00000007"));
  second.start += 8;
  assert.equal(layer.peel(second, SEALED_EXTEND), undefined);
  const body = second.copy();
  assert.deepEqual(body.subarray(0, 6), hex("7f000001 9c44"));
  const two = respond(PROVIDER, { keys: keys[3]!, prologue: PROLOGUE }, body.slice(6))!;
  const answer = poisoned(two.message);
  layer.seal(answer, SEALED_EXTEND_DONE);
  assert.equal(take(build, cell(SEALED_EXTEND_DONE, ID, answer.copy())), undefined);
  assert.equal(build.next, undefined);
});

Deno.test("circuit builder, sealed: refuses a forged answer, and still waits for the genuine one", () => {
  const keys = LINKS.map(() => PROVIDER.generateKeyPair());
  const build = makeBuild([1, 3], "sealed", keys);
  const first = asked(build).slice(8);
  const answerOf = (router: number) =>
    respond(PROVIDER, { keys: keys[router]!, prologue: PROLOGUE }, first)?.message;
  assert.equal(answerOf(2), undefined, "another router cannot read it");
  const message = answerOf(1)!;
  const wrong: [what: string, message: Uint8Array][] = [
    ["nothing", hex("")],
    ["cut short", message.subarray(0, -1)],
    ["noise", pattern(48)],
    ["a flipped bit", flip(message, 300)],
    ["our own, turned back", first],
    ["a point of low order", concat(new Uint8Array(32), message.subarray(32))],
  ];
  for (const [what, message] of wrong) {
    assert.equal(take(build, cell(HANDSHAKE, ID, message)), "bad-handshake", what);
    assert.equal(build.next, 1, what);
  }
  assert.equal(take(build, cell(HANDSHAKE, ID, message)), undefined);
  asked(build);
  assert.equal(
    take(build, cell(SEALED_EXTEND_DONE, ID, pattern(72))),
    "forged",
    "outside the first layer",
  );
  assert.equal(take(build, cell(SEALED_EXTEND_DONE, ID, pattern(23))), "truncated");
  assert.equal(build.next, 3);
});

Deno.test("circuit builder, sealed: makes a new handshake for every cell", () => {
  const keys = LINKS.map(() => PROVIDER.generateKeyPair());
  const [one, other] = [1, 2].map(() => asked(makeBuild([1], "sealed", keys)));
  assert.notDeepEqual(one, other);
});

for (const kind of ["plain", "sealed"] as const) {
  Deno.test(`circuit builder, ${kind}: builds circuits of one to five real routers`, () => {
    for (let hops = 1; hops <= 5; hops++) {
      const routers = new Routers(5, kind);
      const path = [4, 2, 0, 3, 1].slice(0, hops);
      const circuit = new OriginCircuit(ID, path, CIRCUIT_KINDS[kind], addressFromBits(0));
      using build = new CircuitBuilder(circuit, routers.descriptions, PROVIDER);
      for (const router of path) {
        assert.equal(build.next, router);
        const { awaited } = build;
        const answers = routers.send(path[0]! + 1, [asked(build)]);
        assert.deepEqual(answers.map((answer) => answer[0]), [awaited]);
        assert.equal(take(build, answers[0]!), undefined);
      }
      assert.equal(build.next, undefined);
      assert.deepEqual(
        routers.cores.map(({ circuits }) => circuits),
        [0, 1, 2, 3, 4].map((router) => Number(path.includes(router))),
      );
    }
  });
}
