/**
 * The doorbell: an eventfd by which one thread wakes another from poll(2).
 *
 * @module
 */
import { Fd } from "./fd.ts";
import { check, libcWith } from "./libc.ts";
import { pointerTo } from "./pointer.ts";

const libc = libcWith("eventfd", "write", "read");

/** `<sys/eventfd.h>`: each read decrements the count by one, and never blocks. */
const EFD_SEMAPHORE = 0o1;
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);
const taken = new Uint8Array(8);

/** Creates a doorbell that has not been rung. Another thread of this process may use its number. */
export function makeDoorbell(): Fd {
  return new Fd(
    check(libc.eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC), "Cannot make a doorbell", "eventfd"),
  );
}

/** Rings: makes the descriptor readable once more. */
export function ringDoorbell(number: number): void {
  check(libc.write(number, pointerTo(ONE), ONE.length), "Cannot ring the doorbell", "write");
}

/** Consumes one ring. Returns whether there was one. */
export function answerDoorbell(number: number): boolean {
  return libc.read(number, pointerTo(taken), taken.length) === taken.length;
}
