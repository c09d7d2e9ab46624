/**
 * File descriptors with an owner.
 *
 * @module
 */
import { libcWith } from "./libc.ts";

const libc = libcWith("close");

/** A file descriptor that is closed once, by its owner. */
export class Fd implements Disposable {
  #number: number;

  /** @param number an open descriptor; the new object owns it */
  constructor(number: number) {
    this.#number = number;
  }

  /** The number, for system calls. It stays good for as long as its owner keeps it open. */
  get number(): number {
    return this.#number;
  }

  /** Closes it; the second time does nothing. An error of close(2) says nothing that anyone could mend. */
  [Symbol.dispose](): void {
    if (this.#number < 0) return;
    libc.close(this.#number);
    this.#number = -1;
  }
}
