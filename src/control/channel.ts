/**
 * The control channel: conversations over a UDP socket on loopback.
 *
 * @module
 */
import { WireError } from "../errors.ts";
import { after, type Cancel } from "../sys/timer.ts";
import { type Arrival, Conversation } from "./conversation.ts";
import { claimedSender, type Frame, type FrameCodec } from "./message.ts";

/** The address of every party. */
export const LOOPBACK = "127.0.0.1";

interface Party<Mine, Theirs> {
  readonly codec: FrameCodec;
  readonly conversation: Conversation<Mine, Theirs>;
  /** Where it is; a router's is known from its first authentic frame on. */
  address: Deno.NetAddr | undefined;
}

/** What a channel wants to know. */
export interface ChannelOptions<Theirs> {
  /** Our own number, see {@linkcode Frame}. */
  readonly self: number;
  /** Called for each message, in order, once. */
  readonly take: (from: number, message: Theirs) => void;
}

/** One party's socket, with a conversation for each other party. */
export class ControlChannel<Mine, Theirs extends { readonly type: string }> implements AsyncDisposable {
  readonly #options: ChannelOptions<Theirs>;
  readonly #socket: Deno.DatagramConn;
  readonly #parties = new Map<number, Party<Mine, Theirs>>();
  readonly #done: Promise<void>;
  /** Frames that are being sealed and sent. */
  readonly #sending = new Set<Promise<void>>();
  #cancelRepeat: Cancel = () => {};
  #closed = false;
  /** Resolves when nothing waits for an answer any more; there while somebody wants to know. */
  #quiet: PromiseWithResolvers<void> | undefined;
  /** Datagrams that were forged, garbled, or meant for somebody else. */
  rejected = 0;

  /** Binds a port that the kernel chooses, and listens. */
  constructor(options: ChannelOptions<Theirs>) {
    this.#options = options;
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port: 0 });
    this.#done = this.#listen();
  }

  /** The port that the channel listens on. */
  get port(): number {
    return (this.#socket.addr as Deno.NetAddr).port;
  }

  /**
   * Adds a party.
   *
   * @param codec has the key that we share with it, and with nobody else
   * @param port where that is known already
   */
  addParty(number: number, codec: FrameCodec, port?: number): void {
    const { self } = this.#options;
    const conversation = new Conversation<Mine, Theirs>(
      self,
      number,
      (frame) => this.#send(number, frame),
    );
    const address: Deno.NetAddr | undefined = port === undefined
      ? undefined
      : { transport: "udp", hostname: LOOPBACK, port };
    this.#parties.set(number, { codec, conversation, address });
  }

  /** The port that a party speaks from; undefined before it has been heard. */
  portOf(number: number): number | undefined {
    return this.#parties.get(number)!.address?.port;
  }

  /** Says something to a party, again and again until it answers. */
  say(to: number, message: Mine): void {
    this.#parties.get(to)!.conversation.say(message, performance.now());
    this.#schedule();
  }

  /** Resolves when everything that was said has been answered, or `timeout` ms are over, or the channel is closed. */
  async flush(timeout: number): Promise<void> {
    if (this.isQuiet || this.#closed) return;
    this.#quiet ??= Promise.withResolvers<void>();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = after(timeout, resolve);
    await Promise.race([this.#quiet.promise, late]);
    cancel();
  }

  /** Closes the socket. What is on its way out still goes; what has not been answered is not repeated any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelRepeat();
    this.#quiet?.resolve();
    await Promise.all(this.#sending);
    this.#socket.close();
    await this.#done;
  }

  /** Whether everything that was said has been answered. */
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
        this.#arrive(party, claimed!, await party.codec.open<Theirs>(bytes), sender as Deno.NetAddr);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        this.rejected++;
      }
    }
  }

  #arrive(party: Party<Mine, Theirs>, from: number, frame: Frame<Theirs>, sender: Deno.NetAddr): void {
    if (this.#closed) return;
    party.address ??= sender;
    const arrival: Arrival<Theirs> = party.conversation.take(frame, performance.now());
    if (arrival.kind === "foreign") this.rejected++;
    if (arrival.kind === "message") this.#options.take(from, arrival.message);
    if (this.isQuiet) {
      this.#quiet?.resolve();
      this.#quiet = undefined;
    }
    this.#schedule();
  }

  #send(to: number, frame: Frame<Mine>): void {
    const { codec, address } = this.#parties.get(to)!;
    if (address === undefined || this.#closed) return;
    const sending = this.#sealAndSend(codec, frame, address).finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  async #sealAndSend(codec: FrameCodec, frame: Frame<Mine>, address: Deno.NetAddr): Promise<void> {
    const bytes = await codec.seal(frame);
    try {
      await this.#socket.send(bytes, address);
    } catch {
      // As good as lost on the way: it is repeated, and if nobody is there any more the process's end tells.
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
