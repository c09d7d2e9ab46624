import assert from "node:assert/strict";
import { IcmpTranslator } from "../../src/exit/raw_icmp/translator.ts";
import { seededRandom } from "../../src/sim/random.ts";
import { address, addressNumber } from "../../tests/support/packets.ts";
import { addressFromBits } from "../../src/ip/address.ts";

const CIRCUIT = 1;
const CLIENT = address("10.0.2.15");
const FIRST = addressNumber("128.30.8.1");
const IDENTIFIER = 7;

for (const sessions of [1, 64, 1000, 16_000]) {
  const translator = new IcmpTranslator(seededRandom(1));
  const outbound = (number: number) =>
    translator.outbound(CIRCUIT, CLIENT, IDENTIFIER, addressFromBits(FIRST + number), 0) ??
      assert.fail("the table is full");

  const externals = new Uint16Array(sessions);
  for (let number = 0; number < sessions; number++) externals[number] = outbound(number).externalIdentifier;
  assert.equal(translator.size, sessions);
  assert.equal(new Set(externals).size, sessions, "each session has an identifier of its own");
  for (const [number, external] of externals.entries()) {
    assert.equal(outbound(number).externalIdentifier, external, "a session keeps its identifier");
    const session = translator.inbound(external, addressFromBits(FIRST + number), 0);
    assert.equal(session?.client, CLIENT);
    assert.equal(session?.identifier, IDENTIFIER);
    assert.equal(
      translator.inbound(external, addressFromBits(FIRST - 1), 0),
      undefined,
      "nobody else's reply",
    );
  }

  let out = 0;
  Deno.bench(`outbound, one of ${sessions} sessions`, { group: "outbound" }, () => {
    out = (out + 1) % sessions;
    if (outbound(out).externalIdentifier !== externals[out]) throw new Error("another session");
  });
  let back = 0;
  Deno.bench(`inbound, one of ${sessions} sessions`, { group: "inbound" }, () => {
    back = (back + 1) % sessions;
    if (translator.inbound(externals[back]!, addressFromBits(FIRST + back), 0) === undefined) {
      throw new Error("no session");
    }
  });
}
