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

interface Party {
  readonly codec: FrameCodec;
  readonly conversation: Conversation<unknown, unknown>;
  /** Where it is; a router's is known from its first authentic frame on. */
  address: Deno.NetAddr | undefined;
}

/** What a channel needs to know. */
export interface ChannelOptions<Mine, Theirs> {
  /** Our own number, see {@linkcode Frame}. */
  readonly self: number;
  /** Writes our messages. */
  readonly mine: JsonCodec<Mine>;
  /** Reads and checks the messages of the other parties. */
  readonly theirs: JsonCodec<Theirs>;
  /** Called for each message, in order, once. */
  readonly take: (from: number, message: Theirs) => void;
  /** Called in the place of `take` for a message that `theirs` refuses, with the reason. */
  readonly refused: (from: number, error: WireError) => void;
}

/** One party's socket, with a conversation for each other party. */
export class ControlChannel<Mine, Theirs> implements AsyncDisposable {
  readonly #options: ChannelOptions<Mine, Theirs>;
  readonly #socket: Deno.DatagramConn;
  readonly #parties = new Map<number, Party>();
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
   * Adds a party, in the place of an earlier one with this number.
   *
   * @param codec has the key that we share with it, and with no other party
   * @param port its port, if that is known already
   */
  addParty(number: number, codec: FrameCodec, port?: number): void {
    const party: Party = {
      codec,
      conversation: new Conversation(this.#options.self, number, (frame) => this.#send(party, frame)),
      address: port === undefined ? undefined : { transport: "udp", hostname: LOOPBACK, port },
    };
    this.#parties.set(number, party);
  }

  /** The port that a party speaks from; undefined before it has been heard. */
  portOf(number: number): number | undefined {
    return this.#parties.get(number)!.address?.port;
  }

  /** Says something to a party, again and again until it answers. */
  say(to: number, message: Mine): void {
    this.#parties.get(to)!.conversation.say(this.#options.mine.encode(message), performance.now());
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
