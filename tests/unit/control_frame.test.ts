import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import {
  claimedSender,
  type Frame,
  FrameCodec,
  FrameKind,
  makeSessionKey,
  PROXY,
  SESSION_KEY,
} from "../../src/control/frame.ts";
import { concat, hex } from "../support/packets.ts";

type Message = { readonly type: string };

/** 00 01 02 … 1f */
const KEY = Uint8Array.from({ length: SESSION_KEY }, (_, index) => index);
const codec = await FrameCodec.of(KEY);

/** Appends the authentic tag, computed by another implementation of HMAC. */
function sign(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const signed = concat(...parts);
  return concat(signed, createHmac("sha256", KEY).update(signed).digest());
}

/** An authentic frame with any body. */
function frameWith(body: string | Uint8Array, header = "01 01 00 01 00000007"): Uint8Array<ArrayBuffer> {
  return sign(hex(header), typeof body === "string" ? new TextEncoder().encode(body) : body);
}

async function refuses(bytes: Uint8Array<ArrayBuffer>, why: string, what = ""): Promise<void> {
  await assert.rejects(codec.open(bytes), { name: "WireError", message: `not a frame: ${why}` }, what);
}

const STOP: Frame<Message> = {
  kind: FrameKind.message,
  from: PROXY,
  to: 1,
  sequence: 7,
  message: { type: "stop" },
};
const ANSWER: Frame<Message> = { kind: FrameKind.acknowledgement, from: 1, to: PROXY, sequence: 7 };

/** Both frames under the key above. Python's hmac module computed the tags. */
const STOP_BYTES = concat(
  hex("01 01 00 01 00000007"),
  new TextEncoder().encode('{"type":"stop"}'),
  hex("93e92d6ebb6e8cb29be4a0f723968dc9244ff39c4442fc0065718e57b7f8ccf4"),
);
const ANSWER_BYTES = concat(
  hex("01 02 01 00 00000007"),
  hex("89d7101f1ff24d0f62ea601c8e55e2044f9b2b59ae36e7d7d142ac1e7e6b5700"),
);

Deno.test("frame: encodes a message and an acknowledgement to the byte", async () => {
  assert.deepEqual(await codec.seal(STOP), STOP_BYTES);
  assert.deepEqual(await codec.seal(ANSWER), ANSWER_BYTES);
  assert.deepEqual(await codec.open(STOP_BYTES), STOP);
  assert.deepEqual(await codec.open(ANSWER_BYTES), ANSWER);
});

Deno.test("frame: opens to what was sealed", async () => {
  const party = fc.nat(255);
  const sequence = fc.integer({ min: 1, max: 0xffff_ffff });
  const message = fc.record({
    type: fc.string(),
    text: fc.array(fc.constantFrom("a", "\0", '"', "é", "日", "🧅")).map((letters) => letters.join("")),
    number: fc.nat(),
  }, {
    noNullPrototype: true,
  });
  await fc.assert(
    fc.asyncProperty(party, party, sequence, fc.option(message), async (from, to, sequence, message) => {
      const frame: Frame<Message> = message === null
        ? { kind: FrameKind.acknowledgement, from, to, sequence }
        : { kind: FrameKind.message, from, to, sequence, message };
      assert.deepEqual(await codec.open(await codec.seal(frame)), frame);
    }),
  );
});

Deno.test("frame: opens in the middle of other bytes", async () => {
  const around = concat(new Uint8Array(3).fill(0xa5), STOP_BYTES, new Uint8Array(3).fill(0xa5));
  assert.deepEqual(await codec.open(around.subarray(3, 3 + STOP_BYTES.length)), STOP);
});

Deno.test("frame: refuses each flipped bit", async () => {
  for (let bit = 0; bit < STOP_BYTES.length * 8; bit++) {
    const bytes = STOP_BYTES.slice();
    bytes[bit >>> 3]! ^= 0x80 >>> (bit & 7);
    await refuses(bytes, "bad tag", `bit ${bit}`);
  }
});

Deno.test("frame: refuses each truncation and any added byte", async () => {
  for (let length = 0; length < STOP_BYTES.length; length++) {
    await refuses(STOP_BYTES.slice(0, length), length < 40 ? "bad length" : "bad tag", `${length} bytes`);
  }
  await refuses(concat(STOP_BYTES, hex("00")), "bad tag");
  await refuses(concat(hex("00"), STOP_BYTES), "bad tag");
});

Deno.test("frame: refuses another session's frames", async () => {
  const other = await FrameCodec.of(makeSessionKey());
  await refuses(await other.seal(STOP), "bad tag");
});

Deno.test("session key: is 32 bytes, and never the same", () => {
  const [one, other] = [makeSessionKey(), makeSessionKey()];
  assert.equal(one.length, 32);
  assert.notDeepEqual(one, other);
});

Deno.test("frame: is at most 65,507 bytes, the longest UDP payload over IPv4", async () => {
  const bodyOf = (length: number) => JSON.stringify({ type: "x".repeat(length - '{"type":""}'.length) });
  const longest = frameWith(bodyOf(65_507 - 8 - 32));
  assert.equal(longest.length, 65_507);
  assert.equal((await codec.open(longest)).kind, FrameKind.message);
  await refuses(frameWith(bodyOf(65_507 - 8 - 32 + 1)), "bad length");
});

Deno.test("frame: refuses an authentic frame that makes no sense, and names the fault", async () => {
  const cases: [what: string, frame: Uint8Array<ArrayBuffer>, why: string][] = [
    ["version 0", frameWith("{}", "00 01 00 01 00000007"), "bad header"],
    ["version 2", frameWith("{}", "02 01 00 01 00000007"), "bad header"],
    ["the sequence number zero", frameWith('{"type":"stop"}', "01 01 00 01 00000000"), "bad header"],
    ["kind 0", frameWith("{}", "01 00 00 01 00000007"), "unknown kind"],
    ["kind 3", frameWith("{}", "01 03 00 01 00000007"), "unknown kind"],
    ["no message", frameWith(""), "the message is not JSON"],
    ["half a message", frameWith('{"type":'), "the message is not JSON"],
    ["two messages", frameWith('{"type":"stop"}{}'), "the message is not JSON"],
    [
      "no UTF-8",
      frameWith(Uint8Array.from('{"type":"\xc0\xaf"}', (letter) => letter.charCodeAt(0))),
      "the message is not JSON",
    ],
  ];
  for (const [what, frame, why] of cases) await refuses(frame, why, what);
});

Deno.test("frame: an acknowledgement has no message, whatever its bytes", async () => {
  assert.deepEqual(await codec.open(frameWith("not JSON", "01 02 01 00 00000007")), ANSWER);
});

Deno.test("frame: tells its claimed sender without the key, unless it is too short", async () => {
  assert.deepEqual([STOP_BYTES, ANSWER_BYTES].map(claimedSender), [PROXY, 1]);
  for (const from of [6, 255]) assert.equal(claimedSender(await codec.seal({ ...STOP, from })), from);
  for (const length of [0, 1, 2]) assert.equal(claimedSender(new Uint8Array(length)), undefined);
});
