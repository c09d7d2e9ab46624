import assert from "node:assert/strict";
import { PacketBuffer } from "../../src/buffer/packet_buffer.ts";
import { findProvider } from "../../src/crypto/provider/choose.ts";
import { Layer } from "../../src/crypto/layer.ts";
import { KEY, PROVIDERS } from "../../src/crypto/provider.ts";
import { concat, hex, pattern } from "../../tests/support/packets.ts";
import { nonceOf, sealPlainly } from "../../tests/support/plain_aead.ts";

/** Packet sizes in bytes. TSO leaves the largest whole. */
const SIZES = [64, 1400, 16_000] as const;

const TYPE = 0x61;
const [FORTH, BACK] = [pattern(KEY), pattern(KEY, 1)];

for (const name of PROVIDERS) {
  const provider = await findProvider([name]).catch(() => undefined);
  if (provider === undefined) {
    console.error(`${name} is not here, and left out`);
    continue;
  }

  for (const size of SIZES) {
    const near: Layer = new Layer(provider, { send: FORTH, receive: BACK });
    const far: Layer = new Layer(provider, { send: BACK, receive: FORTH });
    const packet = pattern(size);
    const buffer = new PacketBuffer();

    buffer.load(packet);
    assert.equal(near.seal(buffer, TYPE), true);
    const sealed = sealPlainly(FORTH, nonceOf(0), hex("61000000"), packet);
    assert.deepEqual(buffer.copy(), concat(new Uint8Array(8), sealed));
    assert.equal(far.peel(buffer, TYPE), undefined);
    assert.deepEqual(buffer.copy(), packet);

    Deno.bench(`${name}: seal, ${size} bytes`, { group: `${size} bytes` }, () => {
      buffer.hold(size);
      if (!near.seal(buffer, TYPE)) throw new Error("the counter is used up");
    });
    // A cell can be peeled only once, so each is sealed first. The bench above has that cost.
    Deno.bench(`${name}: seal, and peel, ${size} bytes`, { group: `${size} bytes` }, () => {
      buffer.hold(size);
      near.seal(buffer, TYPE);
      if (far.peel(buffer, TYPE) !== undefined) throw new Error("a valid cell was refused");
    });
  }
}
