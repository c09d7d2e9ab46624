/**
 * The authenticated frame that a control message travels in.
 *
 * ```
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------+---------------+---------------+---------------+
 * |  Version, 1   |     Kind      |     From      |      To       |
 * +---------------+---------------+---------------+---------------+
 * |              Sequence number, or the one acknowledged         |
 * +---------------------------------------------------------------+
 * |  Message: JSON in UTF-8, empty in an acknowledgement …        |
 * +---------------------------------------------------------------+
 * |  HMAC-SHA-256 of everything above (RFC 2104), 32 bytes        |
 * ```
 *
 * From and To are 0 for the proxy, otherwise a router's number. The receiver checks both, so it
 * refuses its own frames when somebody sends them back.
 *
 * @module
 */
import { WireError } from "../errors.ts";

/** Bytes of a session key. */
export const SESSION_KEY = 32;

/** The proxy's number on the control channel. Routers count from 1. */
export const PROXY = 0;

const VERSION = 1;
const HEADER = 8;
const TAG = 32;

/** Bytes of the longest frame: the longest UDP payload over IPv4. */
export const MAX_FRAME = 65_507;

/** The kinds of frames. */
export const FrameKind = { message: 1, acknowledgement: 2 } as const;

/** One of {@linkcode FrameKind}. */
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** An opened frame. */
export interface Frame<Message = unknown> {
  readonly kind: FrameKind;
  /** The sender: {@linkcode PROXY} or a router's number. */
  readonly from: number;
  /** The receiver: {@linkcode PROXY} or a router's number. */
  readonly to: number;
  /** 1 to 2^32 - 1. */
  readonly sequence: number;
  /** Absent in an acknowledgement. */
  readonly message?: Message;
}

/** A fresh random session key. */
export function makeSessionKey(): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(SESSION_KEY));
}

/**
 * The sender that a frame claims, `undefined` if it is too short. Only a frame that opens with that
 * party's key proves the claim.
 */
export function claimedSender(bytes: Uint8Array): number | undefined {
  return bytes[2];
}

/** Seals and opens frames with one session key. */
export class FrameCodec {
  readonly #key: CryptoKey;

  private constructor(key: CryptoKey) {
    this.#key = key;
  }

  /** @param sessionKey {@linkcode SESSION_KEY} random bytes */
  static async of(sessionKey: Uint8Array<ArrayBuffer>): Promise<FrameCodec> {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    return new FrameCodec(
      await crypto.subtle.importKey("raw", sessionKey, algorithm, false, ["sign", "verify"]),
    );
  }

  /** Encodes and signs a frame. */
  async seal(frame: Frame): Promise<Uint8Array<ArrayBuffer>> {
    const body = frame.message === undefined
      ? new Uint8Array()
      : new TextEncoder().encode(JSON.stringify(frame.message));
    const bytes = new Uint8Array(HEADER + body.length + TAG);
    bytes.set([VERSION, frame.kind, frame.from, frame.to]);
    new DataView(bytes.buffer).setUint32(4, frame.sequence);
    bytes.set(body, HEADER);
    const tag = await crypto.subtle.sign("HMAC", this.#key, bytes.subarray(0, HEADER + body.length));
    bytes.set(new Uint8Array(tag), HEADER + body.length);
    return bytes;
  }

  /**
   * Verifies and decodes a frame. The message is any JSON; `messages.ts` checks it.
   *
   * @throws {WireError} if `bytes` are not a frame, or not authentic
   */
  async open(bytes: Uint8Array<ArrayBuffer>): Promise<Frame> {
    if (bytes.length < HEADER + TAG || bytes.length > MAX_FRAME) {
      throw new WireError("not a frame: bad length");
    }
    const signed = bytes.subarray(0, bytes.length - TAG);
    const tag = bytes.subarray(bytes.length - TAG);
    if (!await crypto.subtle.verify("HMAC", this.#key, tag, signed)) {
      throw new WireError("not a frame: bad tag");
    }
    const [version, kind, from, to] = signed as unknown as [number, number, number, number];
    const sequence = new DataView(signed.buffer, signed.byteOffset).getUint32(4);
    if (version !== VERSION || sequence === 0) throw new WireError("not a frame: bad header");
    const body = signed.subarray(HEADER);
    switch (kind) {
      case FrameKind.acknowledgement:
        return { kind, from, to, sequence };
      case FrameKind.message:
        return { kind, from, to, sequence, message: parse(body) };
      default:
        throw new WireError("not a frame: unknown kind");
    }
  }
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new WireError("not a frame: the message is not JSON", { cause });
  }
}
