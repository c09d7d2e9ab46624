/**
 * The C library: the one table of its functions, and errno.
 *
 * @module
 */
import { SysError } from "../errors.ts";
import { errnoName } from "./errno.ts";

const SYMBOLS = {
  // int open(const char *pathname, int flags, ...);
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // ssize_t read(int fd, void *buf, size_t count);  Lengths here are below 2^31, so 32 bits carry them.
  read: { parameters: ["i32", "pointer", "u32"], result: "i32" },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: { parameters: ["i32", "pointer", "u32"], result: "i32" },
  // int sync_file_range(int fd, off_t offset, off_t nbytes, unsigned int flags);  In another thread, as the next.
  sync_file_range: { parameters: ["i32", "i64", "i64", "u32"], result: "i32", nonblocking: true },
  // int posix_fadvise(int fd, off_t offset, off_t len, int advice);
  posix_fadvise: { parameters: ["i32", "i64", "i64", "i32"], result: "i32", nonblocking: true },
  // int ioctl(int fd, unsigned long request, ...);
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
  poll: { parameters: ["pointer", "u32", "i32"], result: "i32" },
  // int eventfd(unsigned int initval, int flags);
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen);
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // int setsockopt(int sockfd, int level, int optname, const void *optval, socklen_t optlen);
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // ssize_t recvfrom(int, void *buf, size_t len, int flags, struct sockaddr *src_addr, socklen_t *addrlen);
  recvfrom: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "buffer"], result: "i32" },
  // ssize_t sendto(int, const void *buf, size_t len, int flags, const struct sockaddr *dest, socklen_t addrlen);
  sendto: { parameters: ["i32", "pointer", "u32", "i32", "pointer", "u32"], result: "i32" },
  // ssize_t recvmsg(int sockfd, struct msghdr *msg, int flags);
  recvmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // ssize_t sendmsg(int sockfd, const struct msghdr *msg, int flags);
  sendmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // unsigned int if_nametoindex(const char *ifname);
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  // int fchown(int fd, uid_t owner, gid_t group);
  fchown: { parameters: ["i32", "u32", "u32"], result: "i32" },
  // int execvp(const char *file, char *const argv[]);
  execvp: { parameters: ["buffer", "buffer"], result: "i32" },
  // int sched_getaffinity(pid_t pid, size_t cpusetsize, cpu_set_t *mask);
  sched_getaffinity: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  // int sched_setaffinity(pid_t pid, size_t cpusetsize, const cpu_set_t *mask);
  sched_setaffinity: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  // int sched_setscheduler(pid_t pid, int policy, const struct sched_param *param);
  sched_setscheduler: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  // int sched_yield(void);
  sched_yield: { parameters: [], result: "i32" },
  // int sched_getcpu(void);
  sched_getcpu: { parameters: [], result: "i32" },
  // int clock_gettime(clockid_t clockid, struct timespec *tp);
  clock_gettime: { parameters: ["i32", "pointer"], result: "i32" },
  // sighandler_t signal(int signum, sighandler_t handler);
  signal: { parameters: ["i32", "pointer"], result: "pointer" },
  // int *__errno_location(void);  What the macro errno stands for in glibc.
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

type Symbols = typeof SYMBOLS;

/** What has been looked up so far. */
const found: Record<string, unknown> = {};

/**
 * Functions of the C library. Each module takes those that it calls, when it is loaded: to look one up takes 0.2 ms, and no
 * thread calls all of them. A call is synchronous, so errno is this thread's, unless it is marked as not blocking.
 */
export function libcWith<Name extends keyof Symbols>(
  ...names: readonly Name[]
): Deno.StaticForeignLibraryInterface<Pick<Symbols, Name>> {
  const news = names.filter((name) => !Object.hasOwn(found, name)).map((name) => [name, SYMBOLS[name]]);
  if (news.length > 0) Object.assign(found, Deno.dlopen("libc.so.6", Object.fromEntries(news)).symbols);
  return Object.fromEntries(names.map((name) => [name, found[name]])) as never;
}

/** This thread's errno, as memory: good in the very next expression after a call, and gone after anything else. */
const errnoCell = new Int32Array(
  Deno.UnsafePointerView.getArrayBuffer(
    libcWith("__errno_location").__errno_location()!,
    Int32Array.BYTES_PER_ELEMENT,
  ),
);

/** The number of the last error of this thread. */
export function errno(): number {
  return errnoCell[0]!;
}

/**
 * The result of a system call, if it is not negative.
 *
 * @param doing what the call was for, e.g. `Cannot open /dev/net/tun`
 * @param call its name
 * @throws {SysError} where it is
 */
export function check(result: number, doing: string, call: string): number {
  if (result >= 0) return result;
  throw new SysError(doing, call, errnoName(errno()));
}

const encoder = new TextEncoder();

/** A string as C wants it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${text}\0`);
}
