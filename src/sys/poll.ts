/**
 * Waiting for descriptors to become readable.
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { check, errno, libc } from "./libc.ts";
import { cStruct, fieldsOf, pointerTo } from "./pointer.ts";

/** Bytes of a `struct pollfd { int fd; short events; short revents; }`. */
const POLLFD = 8;
const At = { fd: 0, events: 4, revents: 6 } as const;

/** `<poll.h>` */
const POLLIN = 0x001;

/** A `struct timespec { time_t tv_sec; long tv_nsec; }` on a 64-bit machine, as little-endian halves of 32 bits. */
const TIMESPEC = 16;
const TimespecAt = { seconds: 0, nanoseconds: 2 } as const;

/** Milliseconds of the longest wait with an end: a day, after which nothing has happened. */
const LONGEST = 86_400_000;

/** A set of descriptors that one thread waits for. */
export class Poller {
  readonly #halves: Int16Array;
  readonly #pointer: Deno.PointerObject;
  readonly #count: number;
  readonly #timeout: Int32Array;
  readonly #timeoutPointer: Deno.PointerObject;

  /** @param fds open descriptors; their order is the index that {@linkcode Poller.isReadable} takes */
  constructor(fds: readonly number[]) {
    this.#count = fds.length;
    const memory = cStruct(fds.length * POLLFD);
    this.#halves = new Int16Array(
      memory.buffer,
      memory.byteOffset,
      memory.length / Int16Array.BYTES_PER_ELEMENT,
    );
    this.#pointer = pointerTo(memory);
    const timeout = cStruct(TIMESPEC);
    this.#timeout = new Int32Array(
      timeout.buffer,
      timeout.byteOffset,
      TIMESPEC / Int32Array.BYTES_PER_ELEMENT,
    );
    this.#timeoutPointer = pointerTo(timeout);
    const view = fieldsOf(memory);
    fds.forEach((fd, index) => {
      view.setInt32(index * POLLFD + At.fd, fd, true);
      view.setInt16(index * POLLFD + At.events, POLLIN, true);
    });
  }

  /**
   * Blocks this thread until a descriptor is readable or has failed, or the time is over.
   *
   * @param timeout in ms, with fractions; where it is not above 0 it does not block, and Infinity waits for ever
   * @returns whether a descriptor is
   * @throws {SysError}
   */
  wait(timeout: number): boolean {
    const ready = libc.ppoll(this.#pointer, this.#count, this.#timespec(timeout), null);
    if (ready < 0 && errno() === Errno.EINTR) {
      this.#clear();
      return false;
    }
    return check(ready, "Cannot wait for packets", "ppoll") > 0;
  }

  #timespec(timeout: number): Deno.PointerValue {
    if (timeout === Infinity) return null;
    const ms = Math.min(Math.max(timeout, 0), LONGEST);
    const seconds = Math.floor(ms / 1000);
    this.#timeout[TimespecAt.seconds] = seconds;
    this.#timeout[TimespecAt.nanoseconds] = Math.ceil((ms - seconds * 1000) * 1e6);
    return this.#timeoutPointer;
  }

  /** Whether the descriptor of this index had something when {@linkcode Poller.wait} returned, be it an error. */
  isReadable(index: number): boolean {
    return this.#halves[(index * POLLFD + At.revents) / 2] !== 0;
  }

  #clear(): void {
    for (let index = 0; index < this.#count; index++) this.#halves[(index * POLLFD + At.revents) / 2] = 0;
  }
}
