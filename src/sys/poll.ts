/**
 * Waits for descriptors to become readable: poll(2).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { check, errno, libcWith } from "./libc.ts";
import { cStruct, fieldsOf, pointerTo } from "./pointer.ts";

const libc = libcWith("sched_yield", "poll");

/** Bytes of a `struct pollfd { int fd; short events; short revents; }`. */
const POLLFD = 8;
const At = { fd: 0, events: 4, revents: 6 } as const;

/** `<poll.h>` */
const POLLIN = 0x001;

/** How a thread polls before it blocks. */
interface Vigil {
  /** Milliseconds of polling. */
  readonly after: number;
  /** Milliseconds without the processor after which another program counts as busy. */
  readonly absence: number;
}

/** The descriptors that a thread waits for. */
export class Poller {
  readonly #halves: Int16Array;
  readonly #pointer: Deno.PointerObject;
  readonly #count: number;

  /** @param fds open descriptors; their order gives the index for {@linkcode Poller.isReadable} */
  constructor(fds: readonly number[]) {
    this.#count = fds.length;
    const memory = cStruct(fds.length * POLLFD);
    this.#halves = new Int16Array(
      memory.buffer,
      memory.byteOffset,
      memory.length / Int16Array.BYTES_PER_ELEMENT,
    );
    this.#pointer = pointerTo(memory);
    const view = fieldsOf(memory);
    fds.forEach((fd, index) => {
      view.setInt32(index * POLLFD + At.fd, fd, true);
      view.setInt16(index * POLLFD + At.events, POLLIN, true);
    });
  }

  /**
   * Blocks this thread until a descriptor is readable or has failed, or until the timeout.
   *
   * @param timeout in ms; `Infinity` for none
   * @throws {SysError}
   */
  wait(timeout: number): void {
    this.#poll(timeout === Infinity ? -1 : Math.max(0, Math.ceil(Math.min(timeout, 0x7fffffff))));
  }

  /**
   * Like {@linkcode Poller.wait}, but polls for a moment before it blocks, and yields the processor
   * meanwhile.
   *
   * @param now returns the time in ms
   * @returns false if another program took the processor for long, so that polling is not worth
   * while
   */
  waitAwake(timeout: number, { after, absence }: Vigil, now: () => number): boolean {
    let at = now();
    const until = at + Math.min(after, timeout);
    do {
      if (this.#poll(0) > 0) return true;
      const before = at;
      libc.sched_yield();
      at = now();
      if (at - before > absence) {
        this.wait(timeout - (at - before));
        return false;
      }
    } while (at < until);
    this.wait(timeout);
    return true;
  }

  /** @returns the number of ready descriptors */
  #poll(timeout: number): number {
    const ready = libc.poll(this.#pointer, this.#count, timeout);
    if (ready < 0 && errno() === Errno.EINTR) {
      this.#clear();
      return 0;
    }
    return check(ready, "Cannot wait for packets", "poll");
  }

  /**
   * Whether the descriptor of this index was readable or had failed when the last wait returned.
   */
  isReadable(index: number): boolean {
    return this.#halves[(index * POLLFD + At.revents) / 2] !== 0;
  }

  #clear(): void {
    for (let index = 0; index < this.#count; index++) this.#halves[(index * POLLFD + At.revents) / 2] = 0;
  }
}
