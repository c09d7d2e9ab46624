import { bindingOf } from "../../src/exit/raw_icmp/device.ts";
import { address } from "../support/packets.ts";
import assert from "node:assert/strict";

Deno.test("raw ICMP device: binds to the address and interface, and sets a mark only if the settings have one", () => {
  const settings = {
    kind: "raw-icmp",
    address: address("192.168.202.2"),
    device: "eth2",
    mtu: 1500,
    hop: address("10.5.51.1"),
  } as const;
  const bound = { address: settings.address, device: "eth2", types: [0, 3, 11, 12] };
  assert.deepEqual(bindingOf(settings), bound);
  assert.deepEqual(bindingOf({ ...settings, mark: 8 }), { ...bound, mark: 8 });
});
