import { bindingOf } from "../../src/exit/raw_icmp/device.ts";
import { address } from "../support/packets.ts";
import assert from "node:assert/strict";

Deno.test("raw ICMP device: binds to the address, and sets the mark", () => {
  const settings = {
    kind: "raw-icmp",
    address: address("192.168.202.2"),
    hop: address("10.5.51.1"),
    mark: 8,
  } as const;
  assert.deepEqual(bindingOf(settings), { address: settings.address, mark: 8, types: [0, 3, 11, 12] });
});
