/**
 * Pings that go on while a host changes, and the moments of their replies.
 *
 * @module
 */
import type { Rig } from "./rig.ts";
import { Address } from "./vm.ts";

/** Milliseconds between two pings of one socket. */
const INTERVAL = 20;

/** A reply in the output of `ping -D`: when it came, in seconds, and how long it took, in ms. */
const REPLY = /^\[(\d+\.\d+)\] \d+ bytes from .* time=([\d.]+) ms$/;

/** Two series of pings to a captured block, until the end of the block. */
export class Pinging implements AsyncDisposable {
  readonly #series: readonly Series[];

  private constructor(series: readonly Series[]) {
    this.#series = series;
  }

  /**
   * Starts them, from a socket that is bound to the captured address and from one that is bound to
   * none.
   */
  static start(rig: Rig, captured: string = Address.vm): Pinging {
    const all = [`-I ${captured} ${Address.csail}`, Address.csail];
    return new Pinging(all.map((args) => new Series(rig, args.split(" "))));
  }

  /**
   * Waits until a ping that was sent from now on is answered, for both series.
   *
   * @param patience milliseconds to wait at most
   * @returns whether it was
   */
  async pass(patience: number = 1000): Promise<boolean> {
    const now = Date.now();
    const passing = await Promise.all(this.#series.map((each) => each.answered(now, patience)));
    return passing.every((each) => each);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#series.map((each) => each[Symbol.asyncDispose]()));
  }
}

class Series implements AsyncDisposable {
  readonly #ping: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  /** When the latest ping that was answered had been sent, in milliseconds since 1970. */
  #latest = 0;
  #more = Promise.withResolvers<void>();

  constructor(rig: Rig, args: readonly string[]) {
    const ping = ["stdbuf", "-oL", "ping", "-n", "-D", "-i", `${INTERVAL / 1000}`, ...args];
    const [program, ...rest] = [...rig.lab.inside("vm"), ...ping];
    this.#ping = new Deno.Command(program!, { args: rest, stdin: "null", stdout: "piped", stderr: "null" })
      .spawn();
    this.#reading = this.#read();
  }

  async answered(since: number, patience: number): Promise<boolean> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, patience);
    const until = since + patience;
    while (this.#latest < since && Date.now() < until) await Promise.race([this.#more.promise, late.promise]);
    clearTimeout(timer);
    return this.#latest >= since;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#ping.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const [, came, took] = REPLY.exec(line) ?? [];
        if (came !== undefined) this.#latest = Math.max(this.#latest, Number(came) * 1000 - Number(took));
      }
      this.#more.resolve();
      this.#more = Promise.withResolvers();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#ping.kill("SIGINT");
    } catch {
      // It has already ended.
    }
    await Promise.all([this.#ping.status, this.#reading]);
  }
}
