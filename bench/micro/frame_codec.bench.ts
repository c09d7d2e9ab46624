import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { FrameCodec, FrameKind, SESSION_KEY } from "../../src/control/frame.ts";
import { pattern } from "../../tests/support/packets.ts";

const key = pattern(SESSION_KEY);
const codec = await FrameCodec.of(key);
const frame = {
  kind: FrameKind.message,
  from: 1,
  to: 0,
  sequence: 258,
  message: { type: "up", pid: 12345 },
} as const;

const sealed = await codec.seal(frame);
const body = new TextEncoder().encode(JSON.stringify(frame.message));
const signed = Uint8Array.of(1, frame.kind, frame.from, frame.to, 0, 0, 1, 2, ...body);
const tag = createHmac("sha256", key).update(signed).digest();
assert.deepEqual(sealed, Uint8Array.of(...signed, ...tag));
assert.deepEqual(await codec.open(sealed), frame);
const forged = sealed.slice();
forged[9]! ^= 1;
await assert.rejects(codec.open(forged), /bad tag/);

Deno.bench("FrameCodec.seal", async () => {
  await codec.seal(frame);
});
Deno.bench("FrameCodec.open", async () => {
  await codec.open(sealed);
});
