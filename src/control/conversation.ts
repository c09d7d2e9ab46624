/**
 * A conversation: reliable messages over a medium that loses, duplicates and reorders. Each message
 * is repeated until it is acknowledged, and delivered once and in order (stop and wait). Does no
 * I/O.
 *
 * @module
 */
import { type Frame, FrameKind } from "./frame.ts";

/** Milliseconds before the first repetition. The pause doubles up to {@linkcode LAST_REPEAT}. */
export const FIRST_REPEAT = 100;

/** The longest pause between two repetitions, in ms. */
export const LAST_REPEAT = 1000;

/** What a received frame turned out to be. */
type Arrival<Message> =
  /** A new message. */
  | { readonly kind: "message"; readonly message: Message }
  /** The acknowledgement of the current message. */
  | { readonly kind: "acknowledged" }
  /** A duplicate. */
  | { readonly kind: "repeated" }
  /** For another party, or ahead of its turn. */
  | { readonly kind: "foreign" };

/** One party's end of a conversation. */
export class Conversation<Mine, Theirs> {
  readonly #self: number;
  readonly #other: number;
  readonly #send: (frame: Frame<Mine>) => void;
  /** Messages without an acknowledgement. Only the first has been sent. */
  readonly #waiting: Mine[] = [];
  #sequence = 1;
  #heard = 0;
  #repeatAt = Infinity;
  #repeatAfter = FIRST_REPEAT;

  /**
   * @param self our number, see {@linkcode Frame}
   * @param other the other party's number
   * @param send hands a frame to the medium
   */
  constructor(self: number, other: number, send: (frame: Frame<Mine>) => void) {
    this.#self = self;
    this.#other = other;
    this.#send = send;
  }

  /** When {@linkcode Conversation.repeat} is next due, in ms; `Infinity` for never. */
  get deadline(): number {
    return this.#repeatAt;
  }

  /** Whether every message has been acknowledged. */
  get isQuiet(): boolean {
    return this.#waiting.length === 0;
  }

  /** Sends a message once all earlier ones are acknowledged. */
  say(message: Mine, now: number): void {
    this.#waiting.push(message);
    if (this.#waiting.length === 1) this.#begin(now);
  }

  /** Takes an authentic frame. */
  take(frame: Frame<Theirs>, now: number): Arrival<Theirs> {
    if (frame.from !== this.#other || frame.to !== this.#self) return { kind: "foreign" };
    if (frame.kind === FrameKind.acknowledgement) {
      if (this.isQuiet || frame.sequence !== this.#sequence) return { kind: "repeated" };
      this.#waiting.shift();
      this.#sequence++;
      if (this.isQuiet) this.#repeatAt = Infinity;
      else this.#begin(now);
      return { kind: "acknowledged" };
    }
    if (frame.sequence > this.#heard + 1) return { kind: "foreign" };
    const isNew = frame.sequence === this.#heard + 1;
    if (isNew) this.#heard = frame.sequence;
    // Acknowledges every copy, because an acknowledgement may get lost.
    const { sequence } = frame;
    this.#send({ kind: FrameKind.acknowledgement, from: this.#self, to: this.#other, sequence });
    return isNew ? { kind: "message", message: frame.message! } : { kind: "repeated" };
  }

  /** Repeats the current message if its pause is over. */
  repeat(now: number): void {
    if (now < this.#repeatAt) return;
    this.#repeatAfter = Math.min(2 * this.#repeatAfter, LAST_REPEAT);
    this.#transmit(now);
  }

  #begin(now: number): void {
    this.#repeatAfter = FIRST_REPEAT;
    this.#transmit(now);
  }

  #transmit(now: number): void {
    this.#repeatAt = now + this.#repeatAfter;
    const message = this.#waiting[0]!;
    this.#send({
      kind: FrameKind.message,
      from: this.#self,
      to: this.#other,
      sequence: this.#sequence,
      message,
    });
  }
}
