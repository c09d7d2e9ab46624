import assert from "node:assert/strict";
import { chooseProvider, findProvider } from "../../src/crypto/provider/choose.ts";
import { type CryptoProvider, KEY } from "../../src/crypto/provider.ts";
import { ExitCode, OperatorError } from "../../src/errors.ts";
import { PROVIDER, testEach } from "../support/crypto.ts";
import { hex, pattern } from "../support/packets.ts";

testEach("provider: X25519 matches the examples of RFC 7748", (provider) => {
  // §5.2
  const products: [scalar: string, u: string, product: string][] = [
    [
      "a546e36bf0527c9d3b16154b82465edd 62144c0ac1fc5a18506a2244ba449ac4",
      "e6db6867583030db3594c1a424b15f7c 726624ec26b3353b10a903a6d0ab1c4c",
      "c3da55379de9c6908e94ea4df28d084f 32eccf03491c71f754b4075577a28552",
    ],
    [
      "4b66e9d4d1b4673c5ad22691957d6af5 c11b6421e0ea01d42ca4169e7918ba0d",
      "e5210f12786811d3f4b7959d0538ae2c 31dbe7106fc03c3efc4cd549c715a493",
      "95cbde9476e8907d7aade45cb4b873f8 8b595a68799fa152e6f8f7647aac7957",
    ],
  ];
  for (const [scalar, u, product] of products) {
    assert.deepEqual(provider.sharedSecret(hex(scalar), hex(u)), hex(product));
  }
  // §6.1
  const alice = {
    privateKey: hex("77076d0a7318a57d3c16c17251b26645 df4c2f87ebc0992ab177fba51db92c2a"),
    publicKey: hex("8520f0098930a754748b7ddcb43ef75a 0dbf3a0d26381af4eba4a98eaa9b4e6a"),
  };
  const bob = {
    privateKey: hex("5dab087e624a8a4b79e17f8b83800ee6 6f3bb1292618b6fd1c2f8b27ff88e0eb"),
    publicKey: hex("de9edb7d7b7dc1b4d35b61c2ece43537 3f8343c85b78674dadfc7e146f882b4f"),
  };
  const shared = hex("4a5d9d5ba4ce2de1728e3bf480350f25 e07e21c947d19e3376f09b3c1e161742");
  for (const [mine, theirs] of [[alice, bob], [bob, alice]] as const) {
    assert.deepEqual(provider.publicKeyOf(mine.privateKey), mine.publicKey);
    assert.deepEqual(provider.sharedSecret(mine.privateKey, theirs.publicKey), shared);
  }
});

/** RFC 7748 §5.2: each result is the next scalar, and each scalar is the next point. */
function iterated(provider: CryptoProvider, times: number): Uint8Array {
  let [k, u] = [hex("09".padEnd(64, "0")), hex("09".padEnd(64, "0"))];
  for (let count = 0; count < times; count++) [k, u] = [provider.sharedSecret(k, u)!, k];
  return k;
}

testEach("provider: X25519 matches RFC 7748 §5.2, once and after a thousand iterations", (provider) => {
  const results: [times: number, k: string][] = [
    [1, "422c8e7a6227d7bca1350b3e2bb7279f 7897b87bb6854b783c60e80311ae3079"],
    [1000, "684cf59ba83309552800ef566f2f4d3c 1c3887c49360e3875f2eb94d99532c51"],
  ];
  for (const [times, k] of results) assert.deepEqual(iterated(provider, times), hex(k));
});

testEach("provider: X25519 refuses public keys that lead to zero", (provider) => {
  const { privateKey } = provider.generateKeyPair();
  // Points of order 1, 2, 4 and 8, and 0 and 1 plus the prime, which RFC 7748 §5 treats as 0 and 1.
  const points = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  ];
  for (const point of points) {
    assert.equal(provider.sharedSecret(privateKey, hex(point)), undefined, point);
    // The highest bit is ignored.
    const masked = hex(point);
    masked[31]! |= 0x80;
    assert.equal(provider.sharedSecret(privateKey, masked), undefined, `${point}, highest bit set`);
  }
});

testEach("provider: makes different key pairs that agree with each other", (provider) => {
  const [mine, theirs] = [provider.generateKeyPair(), provider.generateKeyPair()];
  assert.notDeepEqual(mine.privateKey, theirs.privateKey);
  assert.deepEqual(provider.publicKeyOf(mine.privateKey), mine.publicKey);
  const secret = provider.sharedSecret(mine.privateKey, theirs.publicKey);
  assert.equal(secret?.length, KEY);
  assert.deepEqual(provider.sharedSecret(theirs.privateKey, mine.publicKey), secret);
});

testEach("provider: refuses keys of another length", (provider) => {
  const { privateKey, publicKey } = provider.generateKeyPair();
  for (const length of [0, KEY - 1, KEY + 1]) {
    assert.throws(() => provider.publicKeyOf(pattern(length)), RangeError);
    assert.throws(() => provider.sharedSecret(pattern(length), publicKey), RangeError);
    assert.throws(() => provider.sharedSecret(privateKey, pattern(length)), RangeError);
  }
});

testEach("provider: SHA-256 matches FIPS 180-4", (provider) => {
  assert.deepEqual(
    provider.sha256(hex("")),
    hex("e3b0c44298fc1c149afbf4c8996fb924 27ae41e4649b934ca495991b7852b855"),
  );
  assert.deepEqual(
    provider.sha256(new TextEncoder().encode("abc")),
    hex("ba7816bf8f01cfea414140de5dae2223 b00361a396177a9cb410ff61f20015ad"),
  );
});

testEach("provider: HMAC-SHA-256 matches RFC 4231, and accepts an empty key", (provider) => {
  const text = (words: string) => new TextEncoder().encode(words);
  const cases: [key: Uint8Array<ArrayBuffer>, data: Uint8Array<ArrayBuffer>, hash: string][] = [
    // §4.2
    [
      hex("0b".repeat(20)),
      text("Hi There"),
      "b0344c61d8db38535ca8afceaf0bf12b 881dc200c9833da726e9376c2e32cff7",
    ],
    // §4.3
    [
      text("Jefe"),
      text("what do ya want for nothing?"),
      "5bdcc146bf60754e6a042426089575c7 5a003f089d2739839dec58b964ec3843",
    ],
    [hex(""), hex(""), "b613679a0814d9ec772f95d778c35fc5 ff1697c493715653c6c712144292c5ad"],
  ];
  for (const [key, data, hash] of cases) assert.deepEqual(provider.hmacSha256(key, data), hex(hash));
});

testEach("provider: returns arrays that belong to the caller", (provider) => {
  const results = () => [provider.sha256(hex("01")), provider.hmacSha256(hex("01"), hex("02"))];
  const [first, second] = [results(), results()];
  for (const each of first) each.fill(0);
  assert.deepEqual(second, results());
  for (const each of results()) assert.equal(each.buffer.byteLength, each.length, "its own memory");
});

Deno.test("provider: chooses the fastest library, once", async () => {
  const [first, second] = await Promise.all([chooseProvider(), chooseProvider()]);
  assert.equal(first, second);
  assert.equal(first.name, PROVIDER.name);
  assert.match(first.version, /^(Deno )?\d+\.\d+\.\d+/);
});

Deno.test("provider: tells the operator what to install if no library works", async () => {
  await assert.rejects(findProvider([]), (error) => {
    assert.ok(error instanceof OperatorError);
    assert.equal(error.remedy, "install libssl3");
    assert.equal(error.exitCode, ExitCode.hostLacks);
    return true;
  });
});
