/**
 * A run of stage 3 on a host to which things happen, and what must hold at each of them.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Disturbance } from "./disturbances.ts";
import type { Onion } from "./onion.ts";
import { Pinging } from "./pinging.ts";
import { Rig } from "./rig.ts";

/** Milliseconds within which packets pass again, or stderr says why they do not. */
const SOON = 1000;

/** A run with pings, on a VM with three cards. */
export class Turmoil implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #rig: Rig;
  readonly #onion: Onion;
  readonly #pinging: Pinging;

  private constructor(stack: AsyncDisposableStack, rig: Rig, onion: Onion, pinging: Pinging) {
    this.#stack = stack;
    this.#rig = rig;
    this.#onion = onion;
    this.#pinging = pinging;
  }

  /**
   * Starts it, and waits until pings are answered.
   *
   * @param limit milliseconds after which it is killed
   */
  static async start(limit: number): Promise<Turmoil> {
    await using stack = new AsyncDisposableStack();
    const rig = stack.use(await Rig.up({ cards: 2 }));
    const onion = stack.use(await rig.stage(3, "--exit eth1", { limit }));
    const pinging = stack.use(Pinging.start(rig));
    assert.ok(await pinging.pass(5000), "nothing passes from the start");
    return new Turmoil(stack.move(), rig, onion, pinging);
  }

  /**
   * Lets something happen and end.
   *
   * @throws {AssertionError} if packets leave in the clear, or none pass and nobody says why
   */
  async meet({ what, happens, ends, about = "" }: Disturbance): Promise<void> {
    const said = this.#onion.stderr.text.length;
    const words = () => `stderr says: ${JSON.stringify(this.#onion.stderr.text.slice(said))}`;
    await happens(this.#rig);
    const passes = await this.#pinging.pass(SOON);
    await this.#assertClosed(what);
    const isSaid = this.#onion.stderr.text.slice(said).split("\n").some((line) =>
      line.includes("warning: ") && line.includes(about)
    );
    if (!passes) assert.ok(isSaid && ends !== undefined, `${what}: nothing passes; ${words()}`);
    if (ends === undefined) return;
    await ends(this.#rig);
    assert.ok(await this.#pinging.pass(2 * SOON), `${what}: nothing passes after its end; ${words()}`);
    await this.#assertClosed(`${what}, at its end`);
  }

  /** Ends the run, and asserts that it went well to the end. */
  async end(): Promise<void> {
    await this.#pinging[Symbol.asyncDispose]();
    const { code, stderr } = await this.#onion.end();
    assert.equal(code, 0, stderr);
  }

  async #assertClosed(what: string): Promise<void> {
    assert.deepEqual(await this.#rig.clear(), {}, `${what}: packets left in the clear`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/**
 * Lets these things happen one after the other. After a failure it goes on with a new host, so that
 * one does not hide others.
 *
 * @param step runs each as a step of a test; returns whether it went well
 * @param limit milliseconds after which a run is killed
 */
export async function meetAll(
  disturbances: Iterable<Disturbance>,
  step: (what: string, meet: () => Promise<void>) => Promise<boolean>,
  limit: number,
): Promise<void> {
  let turmoil: Turmoil | undefined;
  try {
    for (const disturbance of disturbances) {
      const went = await step(
        disturbance.what,
        async () => await (turmoil ??= await Turmoil.start(limit)).meet(disturbance),
      );
      if (went) continue;
      await turmoil?.[Symbol.asyncDispose]();
      turmoil = undefined;
    }
    await turmoil?.end();
  } finally {
    await turmoil?.[Symbol.asyncDispose]();
  }
}
