/**
 * The handshake: `Noise_NK_25519_ChaChaPoly_SHA256` of the Noise Protocol Framework, revision 34. The initiator is
 * anonymous; the responder proves that it has the static key that the initiator knows.
 *
 * ```
 *   NK(s):
 *     <- s                    known beforehand
 *     ...
 *     -> e, es                | e, 32 bytes | payload … | tag, 16 bytes |
 *     <- e, ee                | e, 32 bytes | payload … | tag, 16 bytes |
 * ```
 *
 * `e` is a key pair made for this handshake, `s` the responder's static one; in a message each is its public key. `es` and
 * `ee` are what X25519 makes of the initiator's `e` and the responder's `s` or `e`. All of it ends up in two keys, one for
 * each direction. The first message alone could be replayed to the responder, whose answer is then of no use to whoever
 * did: what counts begins with the second.
 *
 * @module
 */
import { WireError } from "../errors.ts";
import { concat, NOTHING, SymmetricState } from "./noise_state.ts";
import { type CryptoProvider, KEY, type KeyPair, TAG } from "./provider.ts";
import { wipe } from "./wipe.ts";

/** Its name goes into the hash. It has just as many bytes as a hash, so it is not hashed by itself (§5.2). */
const PROTOCOL_NAME = new TextEncoder().encode("Noise_NK_25519_ChaChaPoly_SHA256");

/**
 * Bytes that either message adds to its payload, so the length of one without a payload.
 *
 * - 32, the public key of `e`
 * - 16, the tag
 */
export const HANDSHAKE_OVERHEAD: number = KEY + TAG;

/** What a handshake ends in. Whoever gets it wipes the keys after use. */
export interface TransportKeys {
  /** Seals what this end sends. */
  readonly send: Uint8Array<ArrayBuffer>;
  /** Opens what the other end sends. */
  readonly receive: Uint8Array<ArrayBuffer>;
  /** The same at both ends, different in every handshake, no secret: what a handshake can be named by (§11.2). */
  readonly handshakeHash: Uint8Array<ArrayBuffer>;
}

/** What both ends begin with. */
export interface HandshakeOptions {
  /** What both ends must agree on beforehand, and is not sent. */
  readonly prologue: Uint8Array;
  /** What goes with this end's message; nothing unless said otherwise. */
  readonly payload?: Uint8Array;
  /** For test vectors only: this end's `e`, which is wiped after use. */
  readonly ephemeral?: KeyPair;
}

/** What the initiator begins with. */
export interface InitiateOptions extends HandshakeOptions {
  /** The responder's static public key. */
  readonly remoteStatic: Uint8Array<ArrayBuffer>;
}

/** What the responder answers with. */
export interface RespondOptions extends HandshakeOptions {
  /** Its static key pair. */
  readonly keys: KeyPair;
}

/** The initiator's result. */
export interface Finished extends TransportKeys {
  /** What came with the responder's message. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** The responder's result. */
export interface Response extends TransportKeys {
  /** What came with the initiator's message: anybody may have written it, and sent it before. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** What the initiator waits for. */
  readonly message: Uint8Array<ArrayBuffer>;
}

/**
 * The initiator's first half: `-> e, es`.
 *
 * @throws {WireError} where `remoteStatic` is none of X25519's good public keys
 */
export function initiate(provider: CryptoProvider, options: InitiateOptions): Initiation {
  const { remoteStatic, prologue, payload = NOTHING } = options;
  const ephemeral = options.ephemeral ?? provider.generateKeyPair();
  const state = begin(provider, prologue, remoteStatic);
  state.mixHash(ephemeral.publicKey);
  if (!mixSecret(provider, state, ephemeral.privateKey, remoteStatic)) {
    state[Symbol.dispose]();
    wipe(ephemeral.privateKey);
    throw new WireError("the router's static key is no public key of X25519");
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

  /** What the responder waits for. */
  readonly message: Uint8Array<ArrayBuffer>;

  /** Made by {@linkcode initiate}. */
  constructor(
    provider: CryptoProvider,
    message: Uint8Array<ArrayBuffer>,
    state: SymmetricState,
    ephemeral: KeyPair,
  ) {
    this.#provider = provider;
    this.message = message;
    this.#state = state;
    this.#ephemeral = ephemeral;
  }

  /**
   * The initiator's second half: `<- e, ee`. It ends the handshake.
   *
   * @returns undefined where `reply` is not the responder's: the handshake then waits on, as if nothing had come. And where
   * the handshake has ended
   */
  finish(reply: Uint8Array<ArrayBuffer>): Finished | undefined {
    if (this.#isOver || reply.length < HANDSHAKE_OVERHEAD) return undefined;
    // On a copy, for the reply may be anybody's.
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

  /** Ends the handshake, and wipes what it knows. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#state[Symbol.dispose]();
    wipe(this.#ephemeral.privateKey);
  }
}

/**
 * The responder's part: `-> e, es`, then `<- e, ee`.
 *
 * @returns undefined where `message` is of no initiator that knows this responder; nothing is ever answered to it
 */
export function respond(
  provider: CryptoProvider,
  options: RespondOptions,
  message: Uint8Array<ArrayBuffer>,
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

/** What both ends know before the first message: the protocol's name, the prologue, and the responder's `s` (§5.3). */
function begin(
  provider: CryptoProvider,
  prologue: Uint8Array,
  responderStatic: Uint8Array<ArrayBuffer>,
): SymmetricState {
  const state = SymmetricState.initialize(provider, PROTOCOL_NAME);
  state.mixHash(prologue);
  state.mixHash(responderStatic);
  return state;
}

/** `MixKey(DH(…))`: whether the secret is one. Zero would be everybody's, and is refused (RFC 7748 §6.1). */
function mixSecret(
  provider: CryptoProvider,
  state: SymmetricState,
  privateKey: Uint8Array<ArrayBuffer>,
  publicKey: Uint8Array<ArrayBuffer>,
): boolean {
  const secret = provider.sharedSecret(privateKey, publicKey);
  if (secret === undefined) return false;
  state.mixKey(secret);
  wipe(secret);
  return true;
}
