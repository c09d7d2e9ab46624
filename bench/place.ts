/**
 * A place where programs run: the words that lead there.
 *
 * @module
 */
import { run, type RunOptions } from "./command.ts";

/** Somewhere inside one or several namespaces. */
export class Place {
  /**
   * @param way words to put before a command; each program becomes the next, so the pid stays the
   * same
   */
  constructor(readonly way: readonly [string, ...string[]]) {}

  /** The words that run `command` here. */
  inside(command: readonly string[]): [string, ...string[]] {
    return [...this.way, ...command];
  }

  /** Runs a command here to its end, and returns its stdout. */
  run(command: readonly string[], options?: RunOptions): Promise<string> {
    return run(this.inside(command), options);
  }
}
