import assert from "node:assert/strict";
import { GivenCircuits } from "../../src/circuit/origin/circuits.ts";
import { PLAIN } from "../../src/circuit/dialect.ts";
import { address, addressNumber } from "../support/packets.ts";
import { UNSPECIFIED } from "../../src/ip/address.ts";

const CLIENT = address("10.0.2.15");
const ADDRESSES = ["192.168.201.2", "192.168.202.2", "192.168.203.2"].map(address);

function given(): GivenCircuits {
  return new GivenCircuits([1, 2, 3], ADDRESSES);
}

Deno.test("given circuits are there from the start: plain, open, everybody's, one to each router", () => {
  const circuits = given();
  for (const neighbour of [0, 1, 2]) {
    const { id, isOpen, isGiven, client, dialect, ...circuit } = circuits.find(neighbour, neighbour + 1)!;
    assert.deepEqual([id, circuit.neighbour], [neighbour + 1, neighbour]);
    assert.deepEqual([isOpen, isGiven, client, dialect], [true, true, undefined, PLAIN]);
  }
});

Deno.test("the destination says which: a router's own address, else what it counts to", () => {
  const circuits = given();
  const chosen = (destination: string) => circuits.choose(CLIENT, address(destination)).neighbour;
  assert.deepEqual(["192.168.203.2", "192.168.201.2"].map(chosen), [2, 0]);
  const destinations = ["18.9.22.69", "18.9.22.70", "18.9.22.71", "18.9.22.72"];
  assert.deepEqual(destinations.map(chosen), destinations.map((each) => addressNumber(each) % 3));
  assert.equal(
    circuits.choose(CLIENT, UNSPECIFIED),
    circuits.choose(address("10.0.2.16"), UNSPECIFIED),
    "whoever sends",
  );
});

Deno.test("a cell finds its circuit by its id and the router it came from, both of them", () => {
  const circuits = given();
  assert.equal(circuits.find(0, 2), undefined);
  assert.equal(circuits.find(0, 4), undefined);
  assert.equal(circuits.find(3, 4), undefined);
});

Deno.test("they are never built, never end, and answer nothing", () => {
  const circuits = given();
  circuits.expire();
  assert.equal(circuits.deadline, Infinity);
  assert.equal(circuits.answer(), "unexpected-cell");
  assert.ok(circuits.find(0, 1));
});
