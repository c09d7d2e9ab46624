/**
 * A conversation: messages between two parties over a medium that loses, doubles and reorders, each repeated until
 * it is answered, each delivered once and in order (stop and wait). A core without I/O.
 *
 * @module
 */
import { type Frame, FrameKind } from "./frame.ts";

/** Milliseconds before a message is repeated for the first time; the pause doubles up to {@linkcode LAST_REPEAT}. */
export const FIRST_REPEAT = 100;

/** The longest pause between two repetitions, in ms. */
export const LAST_REPEAT = 1000;

/** What came of a frame. */
export type Arrival<Message> =
  /** A new message. */
  | { readonly kind: "message"; readonly message: Message }
  /** The other party has taken one of ours. */
  | { readonly kind: "answered" }
  /** Something that was already known. */
  | { readonly kind: "repeated" }
  /** For somebody else, or out of turn. */
  | { readonly kind: "foreign" };

/** One party's end of a conversation. */
export class Conversation<Mine, Theirs> {
  readonly #self: number;
  readonly #other: number;
  readonly #send: (frame: Frame<Mine>) => void;
  /** Messages not yet answered; the first is under way. */
  readonly #waiting: Mine[] = [];
  #sequence = 1;
  #heard = 0;
  #repeatAt = Infinity;
  #repeatAfter = FIRST_REPEAT;

  /**
   * @param self our number, see {@linkcode Frame}
   * @param other the other party's
   * @param send gives a frame to the medium
   */
  constructor(self: number, other: number, send: (frame: Frame<Mine>) => void) {
    this.#self = self;
    this.#other = other;
    this.#send = send;
  }

  /** When {@linkcode Conversation.repeat} next has something to do, in ms. */
  get deadline(): number {
    return this.#repeatAt;
  }

  /** Whether every message has been answered. */
  get isQuiet(): boolean {
    return this.#waiting.length === 0;
  }

  /** Says something, after what was said before. */
  say(message: Mine, now: number): void {
    this.#waiting.push(message);
    if (this.#waiting.length === 1) this.#begin(now);
  }

  /** An authentic frame came in. */
  take(frame: Frame<Theirs>, now: number): Arrival<Theirs> {
    if (frame.from !== this.#other || frame.to !== this.#self) return { kind: "foreign" };
    if (frame.kind === FrameKind.acknowledgement) {
      if (this.isQuiet || frame.sequence !== this.#sequence) return { kind: "repeated" };
      this.#waiting.shift();
      this.#sequence++;
      if (this.isQuiet) this.#repeatAt = Infinity;
      else this.#begin(now);
      return { kind: "answered" };
    }
    if (frame.sequence > this.#heard + 1) return { kind: "foreign" };
    const isNew = frame.sequence === this.#heard + 1;
    if (isNew) this.#heard = frame.sequence;
    // An answer may get lost, so every copy is answered.
    const { sequence } = frame;
    this.#send({ kind: FrameKind.acknowledgement, from: this.#self, to: this.#other, sequence });
    return isNew ? { kind: "message", message: frame.message! } : { kind: "repeated" };
  }

  /** Repeats what has not been answered in time. */
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
