/**
 * The handshake: `Noise_NK_25519_ChaChaPoly_SHA256` of the Noise Protocol Framework, revision 34.
 * The initiator is anonymous; the responder proves that it has the static key that the initiator
 * knows.
 *
 * ```
 *   NK(s):
 *     <- s                    known in advance
 *     ...
 *     -> e, es                | e, 32 bytes | payload … | tag, 16 bytes |
 *     <- e, ee                | e, 32 bytes | payload … | tag, 16 bytes |
 * ```
 *
 * `e` is a key pair made for this handshake, and `s` the responder's static pair; messages carry
 * the public keys. `es` and `ee` are the X25519 secrets of the initiator's `e` and the responder's
 * `s` or `e`. The handshake yields two keys, one for each direction. An attacker can replay the
 * first message, but cannot use the answer.
 *
 * @module
 */
import { WireError } from "../errors.ts";
import { concat } from "../buffer/bytes.ts";
import type { LayerKeys } from "./layer.ts";
import { NOTHING, SymmetricState } from "./noise_state.ts";
import { type Bytes, type CryptoProvider, KEY, type KeyPair, TAG } from "./provider.ts";
import { wipe } from "./wipe.ts";

/**
 * The protocol name is the first hash value, unhashed, because it has the length of a hash (§5.2).
 */
const PROTOCOL_NAME = new TextEncoder().encode("Noise_NK_25519_ChaChaPoly_SHA256");

/**
 * Bytes that a message adds to its payload.
 *
 * - 32 of the public key of `e`
 * - 16 of the tag
 */
export const HANDSHAKE_OVERHEAD: number = KEY + TAG;

/** The result of a handshake. The caller wipes the keys after use. */
export interface TransportKeys extends LayerKeys {
  /** Identifies the handshake: equal at both ends, unique, and not secret (§11.2). */
  readonly handshakeHash: Bytes;
}

/** The options of both ends. */
export interface HandshakeOptions {
  /** Bytes that both ends must agree on. They are not sent. */
  readonly prologue: Uint8Array;
  /** The payload of this end's message; empty by default. */
  readonly payload?: Uint8Array;
  /** This end's `e`, for test vectors only. It is wiped after use. */
  readonly ephemeral?: KeyPair;
}

/** The options of the initiator. */
export interface InitiateOptions extends HandshakeOptions {
  /** The responder's static public key. */
  readonly remoteStatic: Bytes;
}

/** The options of the responder. */
export interface RespondOptions extends HandshakeOptions {
  /** The responder's static key pair. */
  readonly keys: KeyPair;
}

/** The initiator's result. */
export interface Finished extends TransportKeys {
  /** The payload of the responder's message. */
  readonly payload: Bytes;
}

/** The responder's result. */
export interface Response extends TransportKeys {
  /** The payload of the initiator's message. It may be a replay, and anyone may have written it. */
  readonly payload: Bytes;
  /** The message for the initiator. */
  readonly message: Bytes;
}

/**
 * Starts a handshake as the initiator: `-> e, es`.
 *
 * @throws {WireError} if `remoteStatic` is not a valid X25519 public key
 */
export function initiate(provider: CryptoProvider, options: InitiateOptions): Initiation {
  const { remoteStatic, prologue, payload = NOTHING } = options;
  const ephemeral = options.ephemeral ?? provider.generateKeyPair();
  const state = begin(provider, prologue, remoteStatic);
  state.mixHash(ephemeral.publicKey);
  if (!mixSecret(provider, state, ephemeral.privateKey, remoteStatic)) {
    state[Symbol.dispose]();
    wipe(ephemeral.privateKey);
    throw new WireError("the router's static key is not a valid X25519 public key");
  }
  const message = concat(ephemeral.publicKey, state.encryptAndHash(payload));
  return new Initiation(provider, message, state, ephemeral);
}

/** A handshake that waits for the responder's message. */
export class Initiation implements Disposable {
  readonly #provider: CryptoProvider;
  readonly #state: SymmetricState;
  readonly #ephemeral: KeyPair;
  #isOver = false;

  /** The message for the responder. */
  readonly message: Bytes;

  /** Use {@linkcode initiate}. */
  constructor(provider: CryptoProvider, message: Bytes, state: SymmetricState, ephemeral: KeyPair) {
    this.#provider = provider;
    this.message = message;
    this.#state = state;
    this.#ephemeral = ephemeral;
  }

  /**
   * Finishes the handshake: `<- e, ee`.
   *
   * @returns undefined if `reply` is not the responder's, and the handshake waits on; also
   * undefined if the handshake has already ended
   */
  finish(reply: Bytes): Finished | undefined {
    if (this.#isOver || reply.length < HANDSHAKE_OVERHEAD) return undefined;
    // Work on a copy, because the reply may be forged.
    using state = this.#state.clone();
    const remoteEphemeral = reply.slice(0, KEY);
    state.mixHash(remoteEphemeral);
    if (!mixSecret(this.#provider, state, this.#ephemeral.privateKey, remoteEphemeral)) return undefined;
    const payload = state.decryptAndHash(reply.subarray(KEY));
    if (payload === undefined) return undefined;
    this[Symbol.dispose]();
    const [send, receive] = state.split();
    return { send, receive, handshakeHash: state.handshakeHash, payload };
  }

  /** Ends the handshake, and wipes its secrets. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#state[Symbol.dispose]();
    wipe(this.#ephemeral.privateKey);
  }
}

/**
 * Answers a handshake as the responder: `-> e, es`, then `<- e, ee`.
 *
 * @returns undefined if the initiator does not know this responder's static key
 */
export function respond(
  provider: CryptoProvider,
  options: RespondOptions,
  message: Bytes,
): Response | undefined {
  if (message.length < HANDSHAKE_OVERHEAD) return undefined;
  const { keys, prologue, payload: answer = NOTHING } = options;
  using state = begin(provider, prologue, keys.publicKey);
  const remoteEphemeral = message.slice(0, KEY);
  state.mixHash(remoteEphemeral);
  if (!mixSecret(provider, state, keys.privateKey, remoteEphemeral)) return undefined;
  const payload = state.decryptAndHash(message.subarray(KEY));
  if (payload === undefined) return undefined;

  const ephemeral = options.ephemeral ?? provider.generateKeyPair();
  state.mixHash(ephemeral.publicKey);
  const isMixed = mixSecret(provider, state, ephemeral.privateKey, remoteEphemeral);
  wipe(ephemeral.privateKey);
  if (!isMixed) return undefined;
  const reply = concat(ephemeral.publicKey, state.encryptAndHash(answer));
  const [receive, send] = state.split();
  return { message: reply, payload, send, receive, handshakeHash: state.handshakeHash };
}

/**
 * The state before the first message: the protocol name, the prologue, and the responder's `s`
 * (§5.3).
 */
function begin(provider: CryptoProvider, prologue: Uint8Array, responderStatic: Bytes): SymmetricState {
  const state = new SymmetricState(provider, PROTOCOL_NAME);
  state.mixHash(prologue);
  state.mixHash(responderStatic);
  return state;
}

/**
 * `MixKey(DH(…))`. Returns false if the secret is zero, because anyone would know it (RFC 7748
 * §6.1).
 */
function mixSecret(
  provider: CryptoProvider,
  state: SymmetricState,
  privateKey: Bytes,
  publicKey: Bytes,
): boolean {
  const secret = provider.sharedSecret(privateKey, publicKey);
  if (secret === undefined) return false;
  state.mixKey(secret);
  wipe(secret);
  return true;
}
