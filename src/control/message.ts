/**
 * What proxy and routers say to each other, and the authenticated frame it travels in.
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
 * From and To are 0 for the proxy and else a router's number, so that a frame cannot be turned back on its sender.
 *
 * @module
 */
import { WireError } from "../errors.ts";
import type { RouterNodeConfig } from "../runtime/node.ts";
import type { ThreadOptions } from "../runtime/packet_thread.ts";
import type { RawIcmpBinding } from "../sys/raw_icmp.ts";
import type { Snapshot } from "../trace/counters.ts";

/** Bytes of a session key. */
export const SESSION_KEY = 32;

/** The number of the proxy as a party to the control channel; routers count from 1. */
export const PROXY = 0;

const VERSION = 1;
const HEADER = 8;
const TAG = 32;

/** Bytes of the longest frame: what loopback carries, and far more than any message needs. */
const MAX_FRAME = 65_507;

/** Kinds of frames. */
export const FrameKind = { message: 1, acknowledgement: 2 } as const;

/** One of {@linkcode FrameKind}. */
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** What a router tells the proxy. */
export type RouterMessage =
  /** "I'm up": the first message, with the port of the data link. */
  | { readonly type: "up"; readonly pid: number; readonly port: number }
  /** The settings are in force. Where it begins sealed circuits, with its static public key, in hex. */
  | { readonly type: "ready"; readonly key?: string }
  /** Sent every second, with the control datagrams that the router has rejected so far. */
  | { readonly type: "alive"; readonly counters: Snapshot; readonly rejected: number }
  /** The last message of a router that was asked to stop. */
  | { readonly type: "stopped"; readonly counters: Snapshot; readonly rejected: number }
  /** The last message of a router that cannot go on. */
  | { readonly type: "failed"; readonly message: string };

/** What the proxy tells a router. */
export type ProxyMessage =
  | { readonly type: "settings"; readonly settings: RouterSettings }
  | { readonly type: "stop" };

/** What a router is told to be. */
export interface RouterSettings {
  /** The classic log file, as seen from the directory that both processes share; its own exists. */
  readonly logFile: string;
  /** Present where packets travel. */
  readonly traffic?: {
    readonly node: RouterNodeConfig;
    readonly thread: ThreadOptions;
    /** What the socket of a raw ICMP exit is bound to. */
    readonly socket?: RawIcmpBinding;
  };
}

/** A frame, opened. */
export interface Frame<Message> {
  readonly kind: FrameKind;
  readonly from: number;
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

/** Who a frame says that it is from; not to be believed before it has been opened with that party's key. */
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

  /** The bytes of a frame. */
  async seal(frame: Frame<unknown>): Promise<Uint8Array<ArrayBuffer>> {
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
   * The frame in `bytes`. Who has the key is trusted to send messages of the right shape.
   *
   * @throws {WireError} where it is none, or not authentic
   */
  async open<Message extends { readonly type: string }>(
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<Frame<Message>> {
    if (bytes.length < HEADER + TAG || bytes.length > MAX_FRAME) throw new WireError("no frame: bad length");
    const signed = bytes.subarray(0, bytes.length - TAG);
    const tag = bytes.subarray(bytes.length - TAG);
    if (!await crypto.subtle.verify("HMAC", this.#key, tag, signed)) throw new WireError("no frame: bad tag");
    const [version, kind, from, to] = signed as unknown as [number, number, number, number];
    const sequence = new DataView(signed.buffer, signed.byteOffset).getUint32(4);
    if (version !== VERSION || sequence === 0) throw new WireError("no frame: bad header");
    const body = signed.subarray(HEADER);
    switch (kind) {
      case FrameKind.acknowledgement:
        return { kind, from, to, sequence };
      case FrameKind.message:
        return { kind, from, to, sequence, message: parse<Message>(body) };
      default:
        throw new WireError("no frame: unknown kind");
    }
  }
}

function parse<Message extends { readonly type: string }>(body: Uint8Array): Message {
  let message: unknown;
  try {
    message = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new WireError("no frame: the message is not JSON", { cause });
  }
  if (typeof message !== "object" || message === null || typeof (message as Message).type !== "string") {
    throw new WireError("no frame: the message has no type");
  }
  return message as Message;
}
