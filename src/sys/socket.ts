/**
 * Numbers and calls that all kinds of sockets share.
 *
 * @module
 */
import { Fd } from "./fd.ts";
import { check, libcWith } from "./libc.ts";

const libc = libcWith("socket");

/** `<sys/socket.h>` and asm-generic: the same on x86-64 and arm64. */
export const AF_INET = 2;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;

/**
 * Opens a socket that programs started later do not get.
 *
 * @param doing the beginning of the error message
 * @param type a type of sockets, and SOCK_NONBLOCK if it must not block
 * @throws {SysError}
 */
export function openSocket(doing: string, family: number, type: number, protocol: number): Fd {
  return new Fd(check(libc.socket(family, type | SOCK_CLOEXEC, protocol), doing, "socket"));
}

/** A C `int`. */
export function int(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Int32Array([value]).buffer);
}
