import { STAGES } from "../../src/config/stages.ts";
import { EXITS, type ExitSettings, exitSettings } from "../../src/exit/registry.ts";
import { address } from "../support/packets.ts";
import assert from "node:assert/strict";

const RAW: ExitSettings = {
  kind: "raw-icmp",
  address: address("192.168.201.2"),
  hop: address("10.5.51.1"),
  share: { index: 0, of: 1 },
  mark: 0x6f6e_0385,
};

Deno.test("exit registry: every kind belongs to a stage", () => {
  const used = new Set(STAGES.map(({ exit }) => exit));
  assert.deepEqual(Object.keys(EXITS).filter((kind) => !used.has(kind as keyof typeof EXITS)), []);
});

Deno.test("exit registry: settings read back as they were written", () => {
  const echo = { kind: "echo", block: { address: address("10.5.51.2"), prefix: 24 } } as const;
  for (const settings of [echo, RAW]) {
    const json = JSON.parse(JSON.stringify(exitSettings.encode(settings)));
    assert.deepEqual(exitSettings.decode(json, "exit"), settings);
  }
});

Deno.test("exit registry: settings that do not fit are refused, by the name of the field", () => {
  const json = exitSettings.encode(RAW) as Record<string, unknown>;
  const refuses = (change: object, message: RegExp) =>
    assert.throws(() => exitSettings.decode({ ...json, ...change }, "exit"), { name: "WireError", message });
  refuses({ kind: "tor" }, /^exit has an unknown kind "tor"$/);
  refuses({ address: "10.0.0" }, /^exit\.address must be an IPv4 address$/);
  refuses({ mark: 0 }, /^exit\.mark must be an integer from 1/);
  refuses({ share: { index: -1, of: 1 } }, /^exit\.share\.index must be/);
  refuses({ types: [0] }, /^exit has an unknown field "types"$/);
});
