/**
 * The C library: one table of all functions in use, and errno.
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
  // ssize_t read(int fd, void *buf, size_t count);  All lengths here are below 2^31.
  read: { parameters: ["i32", "pointer", "u32"], result: "i32" },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: { parameters: ["i32", "pointer", "u32"], result: "i32" },
  // int sync_file_range(int fd, off_t offset, off_t nbytes, unsigned int flags);  Async.
  sync_file_range: { parameters: ["i32", "i64", "i64", "u32"], result: "i32", nonblocking: true },
  // int posix_fadvise(int fd, off_t offset, off_t len, int advice);  Async.
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
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen);
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // int setsockopt(int sockfd, int level, int optname, const void *optval, socklen_t optlen);
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // ssize_t recvfrom(int, void *buf, size_t len, int flags, struct sockaddr *src_addr, socklen_t
  // *addrlen);
  recvfrom: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "buffer"], result: "i32" },
  // ssize_t sendto(int, const void *buf, size_t len, int flags, const struct sockaddr *dest,
  // socklen_t addrlen);
  sendto: { parameters: ["i32", "pointer", "u32", "i32", "pointer", "u32"], result: "i32" },
  // ssize_t recvmsg(int sockfd, struct msghdr *msg, int flags);
  recvmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // ssize_t sendmsg(int sockfd, const struct msghdr *msg, int flags);
  sendmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // unsigned int if_nametoindex(const char *ifname);
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  // char *if_indextoname(unsigned int ifindex, char *ifname);  Writes up to 16 bytes.
  if_indextoname: { parameters: ["u32", "buffer"], result: "pointer" },
  // int access(const char *pathname, int mode);
  access: { parameters: ["buffer", "i32"], result: "i32" },
  // int flock(int fd, int operation);
  flock: { parameters: ["i32", "i32"], result: "i32" },
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
  // int *__errno_location(void);  The macro errno in glibc.
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

type Symbols = typeof SYMBOLS;
type Name = keyof Symbols;
type Calls<Names extends Name> = Deno.StaticForeignLibraryInterface<Pick<Symbols, Names>>;

/** The functions that may be called for each packet. */
const PER_PACKET: readonly Name[] = [
  "clock_gettime",
  "poll",
  "read",
  "recvmsg",
  "sched_yield",
  "sendmsg",
  "sendto",
  "setsockopt",
  "write",
];

/** The results of {@linkcode libcWith} in this thread. */
const handedOut: Record<string, unknown>[] = [];
/** The compiled functions. */
const compiled: Record<string, unknown> = {};

/**
 * Functions of the C library. Unless marked `nonblocking`, a call is synchronous and errno is this
 * thread's.
 *
 * Each call by address takes 6 µs, but needs no preparation. A thread that calls functions for each
 * packet starts with {@linkcode compileCalls}.
 */
export function libcWith<Names extends Name>(...names: readonly Names[]): Calls<Names> {
  const addresses = lookUp(names.map((name) => [name, { type: "pointer" }]));
  const calls = Object.fromEntries(names.map((name) => {
    if (Object.hasOwn(compiled, name)) return [name, compiled[name]];
    const address = new Deno.UnsafeFnPointer(addresses[name] as never, SYMBOLS[name]);
    return [name, (...values: never) => address.call(...values)];
  }));
  handedOut.push(calls);
  return calls as never;
}

/**
 * Makes Deno compile the functions that this thread calls for each packet. A call then takes 0.1
 * µs. Compiling takes 3 ms plus 0.2 ms a function, too long for the start of a control thread.
 *
 * Call it after all modules are loaded and before the first of those calls. Code that has called
 * the slow function stays slower, because V8 then expects both. A second call does nothing.
 */
export function compileCalls(): void {
  const named = (name: Name) => handedOut.filter((calls) => Object.hasOwn(calls, name));
  const news = PER_PACKET.filter((name) => !Object.hasOwn(compiled, name) && named(name).length > 0);
  if (news.length === 0) return;
  Object.assign(compiled, lookUp(news.map((name) => [name, SYMBOLS[name]])));
  for (const name of news) for (const calls of named(name)) calls[name] = compiled[name];
}

function lookUp(symbols: readonly (readonly [Name, Deno.ForeignFunction | Deno.ForeignStatic])[]) {
  return Deno.dlopen("libc.so.6", Object.fromEntries(symbols)).symbols as Record<Name, unknown>;
}

/** This thread's errno in memory. Only the expression right after a call may read it. */
const errnoCell = new Int32Array(
  Deno.UnsafePointerView.getArrayBuffer(
    libcWith("__errno_location").__errno_location()!,
    Int32Array.BYTES_PER_ELEMENT,
  ),
);

/** This thread's errno. */
export function errno(): number {
  return errnoCell[0]!;
}

/**
 * Returns the result of a system call unless it is negative.
 *
 * @param doing the beginning of the error message, e.g. `Cannot open /dev/net/tun`
 * @param call the name of the call
 * @throws {SysError} if the result is negative
 */
export function check(result: number, doing: string, call: string): number {
  if (result >= 0) return result;
  throw new SysError(doing, call, errnoName(errno()));
}

const encoder = new TextEncoder();

/** A zero-terminated C string. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${text}\0`);
}
