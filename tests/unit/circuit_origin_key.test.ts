import assert from "node:assert/strict";
import { byClient, byRouter } from "../../src/circuit/origin/key.ts";
import { address } from "../support/packets.ts";
import { viewOf } from "../support/views.ts";

Deno.test("circuit key: by client, is the same for all destinations of one source", () => {
  const key = (source: string, destination: string) => byClient(viewOf({ source, destination }));
  assert.equal(key("10.0.2.15", "18.9.22.69"), key("10.0.2.15", "18.9.22.70"));
  assert.notEqual(key("10.0.2.15", "18.9.22.69"), key("10.0.2.16", "18.9.22.69"));
});

Deno.test("circuit key: by router, depends on the destination alone", () => {
  const addresses = ["192.168.201.2", "192.168.202.2", "192.168.203.2"].map(address);
  const keyOf = byRouter(addresses);
  const key = (destination: string, source = "10.0.2.15") => keyOf(viewOf({ source, destination }));
  assert.deepEqual(["192.168.203.2", "192.168.201.2"].map((each) => key(each)), [2, 0]);
  // The remainder of 18.9.22.69, taken as a number, divided by 3 is 1.
  const next = ["18.9.22.69", "18.9.22.70", "18.9.22.71", "18.9.22.72"].map((each) => key(each));
  assert.deepEqual(next, [1, 2, 0, 1]);
  assert.equal(key("18.9.22.69", "10.0.2.16"), 1);
});
