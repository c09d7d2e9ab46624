import assert from "node:assert/strict";
import { NOTHING } from "../../src/crypto/noise_state.ts";
import { HANDSHAKE_OVERHEAD, initiate, respond } from "../../src/crypto/noise.ts";
import { type CryptoProvider, type KeyPair, TAG } from "../../src/crypto/provider.ts";
import { WireError } from "../../src/errors.ts";
import { AVAILABLE, flip, keyPair, PROVIDER, testEach } from "../support/crypto.ts";
import { concat, hex, pattern } from "../support/packets.ts";
import file from "../vectors/noise_nk_25519_chachapoly_sha256.json" with { type: "json" };

const PROLOGUE = hex("0151");

/** Both ends of an undisturbed handshake. */
function handshake(initiator: CryptoProvider, responder: CryptoProvider = initiator) {
  const keys = responder.generateKeyPair();
  const initiation = initiate(initiator, { remoteStatic: keys.publicKey, prologue: PROLOGUE });
  const response = respond(responder, { keys, prologue: PROLOGUE }, initiation.message)!;
  return { keys, initiation, response };
}

function sealWith(provider: CryptoProvider, key: Uint8Array<ArrayBuffer>, counter: number, text: Uint8Array) {
  using aead = provider.aead(key);
  const bytes = concat(text, new Uint8Array(TAG));
  aead.seal(bytes, 0, text.length, counter, NOTHING);
  return bytes;
}

testEach("handshake: matches the cacophony vectors, with their transport messages", (provider) => {
  assert.ok(file.vectors.length > 0);
  for (const vector of file.vectors) {
    assert.equal(vector.protocol_name, "Noise_NK_25519_ChaChaPoly_SHA256");
    const [request, answer, ...transport] = vector.messages.map(({ payload, ciphertext }) => {
      return { payload: hex(payload), ciphertext: hex(ciphertext) };
    });
    const initiation = initiate(provider, {
      remoteStatic: hex(vector.init_remote_static),
      prologue: hex(vector.init_prologue),
      payload: request!.payload,
      ephemeral: keyPair(provider, vector.init_ephemeral),
    });
    assert.deepEqual(initiation.message, request!.ciphertext);

    const response = respond(provider, {
      keys: keyPair(provider, vector.resp_static),
      prologue: hex(vector.resp_prologue),
      payload: answer!.payload,
      ephemeral: keyPair(provider, vector.resp_ephemeral),
    }, initiation.message);
    assert.deepEqual(response?.payload, request!.payload);
    assert.deepEqual(response.message, answer!.ciphertext);
    assert.deepEqual(response.handshakeHash, hex(vector.handshake_hash));

    const finished = initiation.finish(response.message);
    assert.deepEqual(finished?.payload, answer!.payload);
    assert.deepEqual(finished.handshakeHash, hex(vector.handshake_hash));
    assert.deepEqual([finished.send, finished.receive], [response.receive, response.send]);

    // By turns, the initiator first. Each direction has its own counter.
    transport.forEach(({ payload, ciphertext }, index) => {
      const key = index % 2 === 0 ? finished.send : response.send;
      assert.deepEqual(sealWith(provider, key, Math.floor(index / 2), payload), ciphertext);
    });
  }
});

Deno.test("handshake: messages without payload have 48 bytes", () => {
  assert.equal(HANDSHAKE_OVERHEAD, 48);
  const { initiation, response } = handshake(PROVIDER);
  assert.equal(initiation.message.length, HANDSHAKE_OVERHEAD);
  assert.equal(response.message.length, HANDSHAKE_OVERHEAD);
});

Deno.test("handshake: works between any two providers", () => {
  for (const initiator of AVAILABLE) {
    for (const responder of AVAILABLE) {
      const { initiation, response } = handshake(initiator, responder);
      const finished = initiation.finish(response.message);
      assert.deepEqual([finished?.send, finished?.receive], [response.receive, response.send]);
      assert.deepEqual(finished?.handshakeHash, response.handshakeHash);
      assert.notDeepEqual(response.send, response.receive);
      assert.deepEqual([finished?.payload, response.payload], [NOTHING, NOTHING]);
    }
  }
});

Deno.test("handshake: carries payloads in both directions", () => {
  const keys = PROVIDER.generateKeyPair();
  const [question, answer] = [pattern(500), pattern(300, 1)];
  const options = { prologue: PROLOGUE };
  const initiation = initiate(PROVIDER, { ...options, remoteStatic: keys.publicKey, payload: question });
  const response = respond(PROVIDER, { ...options, keys, payload: answer }, initiation.message);
  assert.deepEqual(response?.payload, question);
  assert.equal(response.message.length, HANDSHAKE_OVERHEAD + answer.length);
  assert.deepEqual(initiation.finish(response.message)?.payload, answer);
});

Deno.test("handshake: refuses a first message with a flipped bit or another length", () => {
  const { keys, initiation } = handshake(PROVIDER);
  const answers = (message: Uint8Array<ArrayBuffer>) =>
    respond(PROVIDER, { keys, prologue: PROLOGUE }, message);
  const { message } = initiation;
  for (let bit = 0; bit < 8 * message.length; bit++) {
    assert.equal(answers(flip(message, bit)), undefined, `bit ${bit}`);
  }
  for (let length = 0; length < message.length; length++) {
    assert.equal(answers(message.slice(0, length)), undefined, `${length} bytes`);
  }
  assert.equal(answers(concat(message, hex("00"))), undefined);
  assert.notEqual(answers(message), undefined);
});

Deno.test("handshake: refuses a second message with a flipped bit or another length, and still waits", () => {
  const { initiation, response } = handshake(PROVIDER);
  const { message } = response;
  for (let bit = 0; bit < 8 * message.length; bit++) {
    assert.equal(initiation.finish(flip(message, bit)), undefined, `bit ${bit}`);
  }
  for (let length = 0; length < message.length; length++) {
    assert.equal(initiation.finish(message.slice(0, length)), undefined, `${length} bytes`);
  }
  assert.equal(initiation.finish(concat(message, hex("00"))), undefined);
  assert.equal(initiation.finish(initiation.message), undefined, "its own message, reflected");
  assert.equal(initiation.finish(new Uint8Array(HANDSHAKE_OVERHEAD)), undefined, "a public key of zero");
  assert.deepEqual(initiation.finish(message)?.send, response.receive);
});

Deno.test("handshake: refuses another prologue, static key, or handshake", () => {
  const { keys, initiation, response } = handshake(PROVIDER);
  const another = handshake(PROVIDER);
  assert.equal(respond(PROVIDER, { keys, prologue: hex("0251") }, initiation.message), undefined);
  assert.equal(respond(PROVIDER, { keys: another.keys, prologue: PROLOGUE }, initiation.message), undefined);
  assert.equal(initiation.finish(another.response.message), undefined);
  assert.notDeepEqual(response.handshakeHash, another.response.handshakeHash);
});

Deno.test("handshake: answers a repeated first message with other keys", () => {
  const { keys, initiation, response } = handshake(PROVIDER);
  const again = respond(PROVIDER, { keys, prologue: PROLOGUE }, initiation.message)!;
  assert.notDeepEqual(again.message, response.message);
  assert.notDeepEqual(again.send, response.send);
});

Deno.test("handshake: refuses public keys that lead to a zero secret", () => {
  const zero = new Uint8Array(32);
  assert.throws(() => initiate(PROVIDER, { remoteStatic: zero, prologue: PROLOGUE }), WireError);
  const keys = PROVIDER.generateKeyPair();
  assert.equal(
    respond(PROVIDER, { keys, prologue: PROLOGUE }, new Uint8Array(HANDSHAKE_OVERHEAD)),
    undefined,
  );
});

Deno.test("handshake: ends once, by its reply or when disposed of", () => {
  const { initiation, response } = handshake(PROVIDER);
  assert.notEqual(initiation.finish(response.message), undefined);
  assert.equal(initiation.finish(response.message), undefined);

  const given = handshake(PROVIDER);
  given.initiation[Symbol.dispose]();
  assert.equal(given.initiation.finish(given.response.message), undefined);
});

Deno.test("handshake: wipes its secrets after use, and leaves the caller's alone", () => {
  const zero = new Uint8Array(32);
  const [mine, theirs]: [KeyPair, KeyPair] = [PROVIDER.generateKeyPair(), PROVIDER.generateKeyPair()];
  const keys = PROVIDER.generateKeyPair();
  const before = { privateKey: keys.privateKey.slice(), publicKey: keys.publicKey.slice() };
  const initiation = initiate(PROVIDER, {
    remoteStatic: keys.publicKey,
    prologue: PROLOGUE,
    ephemeral: mine,
  });
  const message = initiation.message.slice();
  const response = respond(PROVIDER, { keys, prologue: PROLOGUE, ephemeral: theirs }, initiation.message)!;
  assert.deepEqual(theirs.privateKey, zero);
  assert.notDeepEqual(mine.privateKey, zero, "still in use");
  initiation.finish(response.message);
  assert.deepEqual(mine.privateKey, zero);
  assert.deepEqual(keys, before);
  assert.deepEqual(initiation.message, message);
});
