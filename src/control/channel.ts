/**
 * The control channel: conversations over a UDP socket on loopback.
 *
 * @module
 */
import { WireError } from "../errors.ts";
import { after, type Cancel } from "../sys/timer.ts";
import type { JsonCodec } from "../json.ts";
import { Conversation } from "./conversation.ts";
import { claimedSender, type Frame, type FrameCodec } from "./frame.ts";

/** The address of every party. */
export const LOOPBACK = "127.0.0.1";

/** Another party and the state of our conversation with it. */
interface Party {
  readonly codec: FrameCodec;
  readonly conversation: Conversation<unknown, unknown>;
  /** Its address. A router's is learned from its first authentic frame. */
  address: Deno.NetAddr | undefined;
}

/** How a channel encodes messages and reports them. */
interface ChannelOptions<Mine, Theirs> {
  /** Our own number, see {@linkcode Frame}. */
  readonly self: number;
  /** Writes our messages. */
  readonly mine: JsonCodec<Mine>;
  /** Reads and checks the messages of the other parties. */
  readonly theirs: JsonCodec<Theirs>;
  /** Called once for each message, in order. */
  readonly take: (from: number, message: Theirs) => void;
  /** Called instead of `take`, with the reason, if `theirs` refuses a message. */
  readonly refused: (from: number, error: WireError) => void;
}

/** One party's socket, with a conversation for each other party. */
export class ControlChannel<Mine, Theirs> implements AsyncDisposable {
  readonly #options: ChannelOptions<Mine, Theirs>;
  readonly #socket: Deno.DatagramConn;
  readonly #parties = new Map<number, Party>();
  readonly #done: Promise<void>;
  /** Sends that have not finished. */
  readonly #sending = new Set<Promise<void>>();
  #cancelRepeat: Cancel = () => {};
  #closed = false;
  /** Resolves when all messages are acknowledged. Exists only while a caller waits for it. */
  #quiet: PromiseWithResolvers<void> | undefined;
  /** Received datagrams that were forged, garbled, or meant for another party. */
  rejected = 0;

  /** Binds a port of the kernel's choice and listens. */
  constructor(options: ChannelOptions<Mine, Theirs>) {
    this.#options = options;
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port: 0 });
    this.#done = this.#listen();
  }

  /** The port that the channel listens on. */
  get port(): number {
    return (this.#socket.addr as Deno.NetAddr).port;
  }

  /**
   * Adds a party. It replaces an earlier one with the same number.
   *
   * @param codec holds the key that only this party shares with us
   * @param port its port, if already known
   */
  addParty(number: number, codec: FrameCodec, port?: number): void {
    const party: Party = {
      codec,
      conversation: new Conversation(this.#options.self, number, (frame) => this.#send(party, frame)),
      address: port === undefined ? undefined : { transport: "udp", hostname: LOOPBACK, port },
    };
    this.#parties.set(number, party);
  }

  /** Removes a party: what waits for it is not sent any more. */
  removeParty(number: number): void {
    this.#parties.delete(number);
    this.#settle();
  }

  /** The port of a party, `undefined` until it is known. */
  portOf(number: number): number | undefined {
    return this.#parties.get(number)!.address?.port;
  }

  /** Sends a message to a party, and repeats it until it is acknowledged. */
  say(to: number, message: Mine): void {
    this.#parties.get(to)!.conversation.say(this.#options.mine.encode(message), performance.now());
    this.#schedule();
  }

  /**
   * Waits until all messages are acknowledged, for at most `timeout` ms, or until the channel
   * closes.
   */
  async flush(timeout: number): Promise<void> {
    if (this.isQuiet || this.#closed) return;
    this.#quiet ??= Promise.withResolvers<void>();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = after(timeout, resolve);
    await Promise.race([this.#quiet.promise, late]);
    cancel();
  }

  /** Finishes sends that have begun and closes the socket. Repeats nothing any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelRepeat();
    this.#quiet?.resolve();
    await Promise.all(this.#sending);
    this.#socket.close();
    await this.#done;
  }

  /** Whether all messages have been acknowledged. */
  get isQuiet(): boolean {
    return this.#parties.values().every((party) => party.conversation.isQuiet);
  }

  async #listen(): Promise<void> {
    for await (const [bytes, sender] of this.#socket) {
      const claimed = claimedSender(bytes);
      const party = claimed === undefined ? undefined : this.#parties.get(claimed);
      if (party === undefined) {
        this.rejected++;
        continue;
      }
      try {
        this.#arrive(party, claimed!, await party.codec.open(bytes), sender as Deno.NetAddr);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        this.rejected++;
      }
    }
  }

  #arrive(party: Party, from: number, frame: Frame, sender: Deno.NetAddr): void {
    if (this.#closed || this.#parties.get(from) !== party) return;
    party.address ??= sender;
    const arrival = party.conversation.take(frame, performance.now());
    if (arrival.kind === "foreign") this.rejected++;
    if (arrival.kind === "message") this.#take(from, arrival.message);
    this.#settle();
  }

  /** Tells a caller of `flush` if nothing waits any more, and sets the timer. */
  #settle(): void {
    if (this.isQuiet) {
      this.#quiet?.resolve();
      this.#quiet = undefined;
    }
    this.#schedule();
  }

  #take(from: number, json: unknown): void {
    let message: Theirs;
    try {
      message = this.#options.theirs.decode(json, "");
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#options.refused(from, error);
    }
    this.#options.take(from, message);
  }

  #send({ codec, address }: Party, frame: Frame): void {
    if (address === undefined || this.#closed) return;
    const sending = this.#sealAndSend(codec, frame, address).finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  async #sealAndSend(codec: FrameCodec, frame: Frame, address: Deno.NetAddr): Promise<void> {
    const bytes = await codec.seal(frame);
    try {
      await this.#socket.send(bytes, address);
    } catch {
      // Like a lost datagram, this one is repeated. If the party is gone, its process's end tells.
    }
  }

  #schedule(): void {
    this.#cancelRepeat();
    if (this.#closed) return;
    const deadline = this.#parties.values().reduce(
      (least, { conversation }) => Math.min(least, conversation.deadline),
      Infinity,
    );
    if (deadline === Infinity) return;
    this.#cancelRepeat = after(deadline - performance.now(), () => {
      for (const { conversation } of this.#parties.values()) conversation.repeat(performance.now());
      this.#schedule();
    });
  }
}
