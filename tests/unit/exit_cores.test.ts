import { exitMaker } from "../../src/exit/cores.ts";
import { addressFromBits } from "../../src/ip/address.ts";
import assert from "node:assert/strict";

Deno.test("exit cores: a raw ICMP exit without its socket is refused", () => {
  const [address, hop] = [addressFromBits(1), addressFromBits(2)];
  assert.throws(
    () => exitMaker({ kind: "raw-icmp", address, hop, mark: 8 }, undefined),
    new TypeError("a raw ICMP exit needs a socket"),
  );
});
