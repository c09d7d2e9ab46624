/**
 * Error numbers of Linux (asm-generic/errno-base.h and errno.h; the same on x86-64 and arm64).
 *
 * @module
 */

/** The error numbers that onion's system calls may return. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOSPC: 28,
  EPIPE: 32,
  ENOSYS: 38,
  EBADFD: 77,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
} as const;

/**
 * The symbolic name of an error number, e.g. `EBUSY`; `errno 131` for a number outside the table.
 */
export function errnoName(number: number): string {
  const entry = Object.entries(Errno).find(([, value]) => value === number);
  return entry === undefined ? `errno ${number}` : entry[0];
}
