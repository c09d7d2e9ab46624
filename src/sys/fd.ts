/**
 * File descriptors with an owner.
 *
 * @module
 */
import { libcWith } from "./libc.ts";

const libc = libcWith("close");

/** A file descriptor that its owner closes once. */
export class Fd implements Disposable {
  #number: number;

  /** @param number an open descriptor; the new object owns it */
  constructor(number: number) {
    this.#number = number;
  }

  /** The number for system calls, valid until the owner closes it. */
  get number(): number {
    return this.#number;
  }

  /** Closes it once. Ignores errors of close(2), because no caller could act on them. */
  [Symbol.dispose](): void {
    if (this.#number < 0) return;
    libc.close(this.#number);
    this.#number = -1;
  }
}
