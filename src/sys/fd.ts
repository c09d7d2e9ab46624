/**
 * File descriptors with an owner, and reading packets from them.
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { check, errno, libcWith } from "./libc.ts";
import { LastPointer } from "./pointer.ts";

const libc = libcWith("close", "read");

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

  /** Prepares a new descriptor for its use. Closes it if that fails. */
  prepared(prepare: (number: number) => void): this {
    try {
      prepare(this.#number);
      return this;
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Closes it once. Ignores errors of close(2), because no caller could act on them. */
  [Symbol.dispose](): void {
    if (this.#number < 0) return;
    libc.close(this.#number);
    this.#number = -1;
  }
}

const readTo = new LastPointer();

/** The result of {@linkcode readPacket} if no packet is queued. */
export const NO_PACKET = -1;

/**
 * Reads one packet from a descriptor that never blocks.
 *
 * @param room bytes that may be written
 * @param doing the beginning of the error message
 * @returns its length, or {@linkcode NO_PACKET}
 * @throws {SysError} e.g. EBADFD if a TUN interface is gone
 */
export function readPacket(fd: number, into: Uint8Array<ArrayBuffer>, room: number, doing: string): number {
  const length = libc.read(fd, readTo.to(into), room);
  if (length >= 0) return length;
  const error = errno();
  if (error === Errno.EAGAIN || error === Errno.EINTR) return NO_PACKET;
  return check(length, doing, "read");
}
