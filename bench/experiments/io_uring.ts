/**
 * An experiment, not a part of onion: would io_uring carry packets cheaper than poll(2), read(2), write(2) and the UDP train?
 * docs/adr/0010-io-uring.md says what came out. It needs root, `cc`, `ip` and `unshare`, and Linux 6.7.
 *
 * ```
 *   deno run -A bench/experiments/io_uring.ts [--rounds 7]
 * ```
 *
 * Everything happens in a network namespace that leads nowhere and goes with this process. Two things are measured:
 *
 * - **Echo.** A process answers pings on a TUN device, the load generator asks: one packet at a time, then 64 at once.
 * - **Calls.** In one process, so many packets wait to be read, or are there to be written or sent: the CPU time of the
 *   thread until the kernel has taken them, and nothing else.
 *
 * @module
 */
import { checksum } from "../../src/bytes/checksum.ts";
import { Errno } from "../../src/sys/errno.ts";
import { interfaceExists } from "../../src/sys/interface.ts";
import { check, errno } from "../../src/sys/libc.ts";
import { Poller } from "../../src/sys/poll.ts";
import { attachTun, NO_PACKET, readPacket, writePacket } from "../../src/sys/tun.ts";
import { NO_DATAGRAM, SockaddrIn, UdpReceiver, UdpSender, UdpSocket } from "../../src/sys/udp.ts";
import { buildFloor } from "../build.ts";
import { run } from "../command.ts";
import { load } from "../load.ts";
import { Place } from "../place.ts";
import { pairedRatios, quantile } from "../stats.ts";
import { formatFigure, layOut } from "../table.ts";

const DEVICE = "uring0";
const ADDRESS = "10.66.0.1";
const HOST = "10.66.0.7";
/** 10.66.0.1, 10.66.0.7 and 127.0.0.1 */
const [OWN, OTHER, LOOPBACK] = [0x0a42_0001, 0x0a42_0007, 0x7f00_0001];

/** Bytes of the packets, IPv4 and ICMP headers included: those of the bench. */
const SIZES = [64 + 28, 1400 + 28] as const;

// ---------------------------------------------------------------------------------------------------------------
// The ring
// ---------------------------------------------------------------------------------------------------------------

/**
 * The calls that have no function in glibc. `long syscall(long number, ...)`: on x86-64 and arm64 a variadic function takes
 * integers and pointers as any other does.
 */
const { symbols: kernel } = Deno.dlopen("libc.so.6", {
  // int io_uring_setup(u32 entries, struct io_uring_params *p);
  setup: { name: "syscall", parameters: ["i32", "u32", "buffer"], result: "i32" },
  // int io_uring_enter(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, sigset_t *, size_t);
  enter: {
    name: "syscall",
    parameters: ["i32", "i32", "u32", "u32", "u32", "pointer", "pointer"],
    result: "i32",
  },
  // int io_uring_register(unsigned fd, unsigned opcode, void *arg, unsigned nr_args);
  register: { name: "syscall", parameters: ["i32", "i32", "u32", "buffer", "u32"], result: "i32" },
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  // int fcntl(int fd, int op, ...);
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int clock_gettime(clockid_t clockid, struct timespec *tp);
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
});

/** `<asm-generic/unistd.h>`: the same numbers on every machine. */
const Syscall = { setup: 425, enter: 426, register: 427 } as const;

/** `<linux/io_uring.h>` */
const SINGLE_ISSUER = 1 << 12;
const DEFER_TASKRUN = 1 << 13;
const CQSIZE = 1 << 3;
const GETEVENTS = 1 << 0;
const OFFSET_RINGS = 0n;
const OFFSET_ENTRIES = 0x1000_0000n;
const REGISTER_FILES = 2;
const REGISTER_BUFFER_RING = 22;
const Op = { read: 22, write: 23, send: 26, readMultishot: 49 } as const;
const EntryFlag = { fixedFile: 1, selectBuffer: 1 << 5, noCompletion: 1 << 6 } as const;
const CompletionFlag = { more: 1 << 1, bufferShift: 16 } as const;

/** Words of `struct io_uring_params` that the kernel fills in: sizes, and where things are in the rings' memory. */
const Params = { sqEntries: 0, cqEntries: 1, flags: 2, sq: 10, cq: 20, size: 120 } as const;
const SqOffset = { head: 0, tail: 1, mask: 2, array: 6 } as const;
const CqOffset = { head: 0, tail: 1, mask: 2, entries: 5 } as const;

/** Words of an entry of the submission queue, and of one of the completion queue. */
const SQE = 16;
const CQE = 4;

/** Memory that the kernel knows by its address, so it may neither move nor be collected. It is never given back. */
class Memory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #base: bigint;

  constructor(length: number, fd = -1, offset = 0n) {
    // PROT_READ | PROT_WRITE; MAP_SHARED | MAP_POPULATE for a ring, MAP_PRIVATE | MAP_ANONYMOUS for our own.
    const flags = fd < 0 ? 0x02 | 0x20 : 0x01 | 0x8000;
    const pointer = kernel.mmap(null, BigInt(length), 3, flags, fd, offset);
    this.#base = Deno.UnsafePointer.value(pointer);
    if (BigInt.asIntN(64, this.#base) === -1n) throw new Error("Cannot map memory: mmap failed");
    this.bytes = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer!, length));
  }

  /** The address of the byte at `offset`, as two words of 32 bits. */
  address(offset: number): [low: number, high: number] {
    const address = this.#base + BigInt(offset);
    return [Number(address & 0xffff_ffffn), Number(address >> 32n)];
  }
}

/** Bytes of a buffer: a packet of 1500, and some. */
const BUFFER = 2048;

/** So many buffers in memory that the kernel knows. */
class Buffers {
  readonly memory: Memory;
  readonly #addresses: Uint32Array;
  readonly #views: Uint8Array<ArrayBuffer>[];

  constructor(readonly count: number) {
    this.memory = new Memory(count * BUFFER);
    this.#addresses = Uint32Array.from(
      Array.from({ length: count }, (_, index) => this.memory.address(index * BUFFER)).flat(),
    );
    this.#views = Array.from(
      { length: count },
      (_, index) => this.memory.bytes.subarray(index * BUFFER, (index + 1) * BUFFER),
    );
  }

  low(index: number): number {
    return this.#addresses[2 * index]!;
  }

  high(index: number): number {
    return this.#addresses[2 * index + 1]!;
  }

  at(index: number): Uint8Array<ArrayBuffer> {
    return this.#views[index]!;
  }
}

/**
 * An io_uring of one thread. With DEFER_TASKRUN the kernel touches the rings only within our own calls, so no other core
 * writes what is read here. Indices go through Atomics all the same: they order the entries around them on every
 * machine, and keep the compiler from reading a tail once only.
 */
class Ring {
  readonly #fd: number;
  readonly #words: Int32Array;
  readonly #entries: Int32Array;
  readonly #sqTail: number;
  readonly #sqMask: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #cqes: number;
  #tail = 0;
  #submitted = 0;
  #head = 0;
  calls = 0;

  constructor(entries: number, files: readonly number[]) {
    const params = new Uint32Array(Params.size / 4);
    params[Params.flags] = SINGLE_ISSUER | DEFER_TASKRUN | CQSIZE;
    params[Params.cqEntries] = 4 * entries;
    this.#fd = check(
      kernel.setup(Syscall.setup, entries, new Uint8Array(params.buffer)),
      "Cannot make a ring",
      "io_uring_setup",
    );
    const sq = (offset: number) => params[Params.sq + offset]!;
    const cq = (offset: number) => params[Params.cq + offset]!;
    const count = params[Params.sqEntries]!;
    const length = Math.max(
      sq(SqOffset.array) + count * 4,
      cq(CqOffset.entries) + params[Params.cqEntries]! * CQE * 4,
    );
    this.#words = new Int32Array(new Memory(length, this.#fd, OFFSET_RINGS).bytes.buffer);
    this.#entries = new Int32Array(new Memory(count * SQE * 4, this.#fd, OFFSET_ENTRIES).bytes.buffer);
    this.#sqTail = sq(SqOffset.tail) / 4;
    this.#sqMask = this.#words[sq(SqOffset.mask) / 4]!;
    this.#cqHead = cq(CqOffset.head) / 4;
    this.#cqTail = cq(CqOffset.tail) / 4;
    this.#cqMask = this.#words[cq(CqOffset.mask) / 4]!;
    this.#cqes = cq(CqOffset.entries) / 4;
    // Entry n is always at place n.
    for (let n = 0; n < count; n++) this.#words[sq(SqOffset.array) / 4 + n] = n;
    this.register(REGISTER_FILES, Int32Array.from(files), files.length);
  }

  register(opcode: number, argument: Int32Array<ArrayBuffer>, count: number): void {
    const bytes = new Uint8Array(argument.buffer);
    check(
      kernel.register(Syscall.register, this.#fd, opcode, bytes, count),
      "Cannot set the ring up",
      "register",
    );
  }

  /**
   * Puts an operation into the queue.
   *
   * @param file index of a registered file
   * @param data comes back with its completion
   */
  put(
    op: number,
    flags: number,
    file: number,
    low: number,
    high: number,
    length: number,
    data: number,
  ): void {
    const at = (this.#tail & this.#sqMask) * SQE;
    const entries = this.#entries;
    entries.fill(0, at, at + SQE);
    entries[at] = op | (flags | EntryFlag.fixedFile) << 8;
    entries[at + 1] = file;
    // Offset -1: where the file stands, for files that stand nowhere.
    if (op !== Op.send) entries[at + 2] = entries[at + 3] = -1;
    entries[at + 4] = low;
    entries[at + 5] = high;
    entries[at + 6] = length;
    entries[at + 8] = data;
    this.#tail++;
  }

  /** The same for a datagram with an address. */
  putSend(
    file: number,
    buffers: Buffers,
    index: number,
    length: number,
    to: readonly [low: number, high: number],
  ): void {
    const at = (this.#tail & this.#sqMask) * SQE;
    const [low, high] = to;
    this.put(Op.send, EntryFlag.noCompletion, file, buffers.low(index), buffers.high(index), length, index);
    this.#entries[at + 2] = low;
    this.#entries[at + 3] = high;
    this.#entries[at + 11] = 16;
  }

  /** Submits what is in the queue and waits for so many completions. */
  enter(wait: number): void {
    Atomics.store(this.#words, this.#sqTail, this.#tail);
    const count = this.#tail - this.#submitted;
    for (;;) {
      this.calls++;
      const done = kernel.enter(Syscall.enter, this.#fd, count, wait, GETEVENTS, null, null);
      if (done < 0 && errno() === Errno.EINTR) continue;
      check(done, "Cannot enter the ring", "io_uring_enter");
      if (done !== count) throw new Error(`the ring took ${done} of ${count} operations`);
      break;
    }
    this.#submitted = this.#tail;
  }

  /** Hands over what is complete. Returns how many that were. */
  complete(take: (data: number, result: number, flags: number) => void): number {
    const words = this.#words;
    const tail = Atomics.load(words, this.#cqTail);
    const first = this.#head;
    for (; this.#head !== tail; this.#head = (this.#head + 1) | 0) {
      const at = this.#cqes + (this.#head & this.#cqMask) * CQE;
      take(words[at]!, words[at + 2]!, words[at + 3]!);
    }
    Atomics.store(words, this.#cqHead, tail);
    return tail - first;
  }
}

/** Buffers that the kernel picks from by itself: `struct io_uring_buf_ring`, group 0. */
class BufferRing {
  static readonly #tailAt = 7; // 16 bits at byte 14, over a field of the first entry that is not used
  readonly #memory: Memory;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  #tail = 0;

  constructor(ring: Ring, readonly buffers: Buffers) {
    this.#memory = new Memory(buffers.count * 16);
    this.#words = new Uint32Array(this.#memory.bytes.buffer);
    this.#halves = new Uint16Array(this.#memory.bytes.buffer);
    const [low, high] = this.#memory.address(0);
    ring.register(REGISTER_BUFFER_RING, Int32Array.of(low, high, buffers.count, 0, 0, 0, 0, 0, 0, 0), 1);
    for (let index = 0; index < buffers.count; index++) this.give(index);
    this.publish();
  }

  give(index: number): void {
    const at = (this.#tail++ & (this.buffers.count - 1)) * 4;
    this.#words[at] = this.buffers.low(index);
    this.#words[at + 1] = this.buffers.high(index);
    this.#words[at + 2] = BUFFER;
    this.#halves[2 * at + 6] = index;
  }

  publish(): void {
    Atomics.store(this.#halves, BufferRing.#tailAt, this.#tail);
  }
}

// ---------------------------------------------------------------------------------------------------------------
// Echo
// ---------------------------------------------------------------------------------------------------------------

/** What a server says at its end. */
interface Served {
  readonly packets: number;
  readonly calls: number;
}

/** Turns an echo request into its reply. False for anything else; a UDP packet asks the server to end. */
function answer(packet: Uint8Array, length: number): boolean {
  if (length < 28 || packet[0] !== 0x45) return false;
  if (packet[9] === 17) throw new Asked();
  if (packet[9] !== 1 || packet[20] !== 8) return false;
  for (let at = 12; at < 16; at++) {
    const byte = packet[at]!;
    packet[at] = packet[at + 4]!;
    packet[at + 4] = byte;
  }
  packet[20] = 0;
  // The type went from 8 to 0: the sum grows by 0x0800 (RFC 1624).
  const sum = (packet[22]! << 8 | packet[23]!) + 0x0800;
  const folded = (sum & 0xffff) + (sum >> 16);
  packet[22] = folded >> 8;
  packet[23] = folded;
  return true;
}

/** A server was asked to end. */
class Asked extends Error {}

/** Serves until it is asked to end, and counts; `tun` never blocks. */
type Serve = (tun: number, served: { packets: number; calls: number }) => void;

const SERVERS: Readonly<Record<string, Serve>> = {
  /** As the packet thread does it: poll, then read and write until nothing waits, but not more than a burst. */
  "poll, read, write": (tun, served) => {
    const poller = new Poller([tun]);
    const packet = new Uint8Array(BUFFER);
    for (;;) {
      poller.wait(Infinity);
      served.calls++;
      for (let count = 0; count < 64; count++) {
        const length = readPacket(tun, packet, packet.length);
        served.calls++;
        if (length === NO_PACKET) break;
        if (!answer(packet, length)) continue;
        writePacket(tun, packet, length);
        served.calls++;
        served.packets++;
      }
    }
  },

  /** One call a packet: it writes the last reply, asks for the next packet and waits for it. */
  "ring, one read": (tun, served) => {
    block(tun);
    const ring = new Ring(8, [tun]);
    const buffers = new Buffers(2);
    let turn = 0;
    for (;;) {
      ring.put(Op.read, 0, 0, buffers.low(turn), buffers.high(turn), BUFFER, turn);
      served.calls = ring.calls + 1;
      ring.enter(1);
      ring.complete((_, length) => {
        if (check(length, "Cannot read", "IORING_OP_READ") === 0 || !answer(buffers.at(turn), length)) return;
        ring.put(Op.write, EntryFlag.noCompletion, 0, buffers.low(turn), buffers.high(turn), length, turn);
        served.packets++;
      });
      turn ^= 1;
    }
  },

  /**
   * The kernel reads by itself into buffers of its choice, until it runs out of them. A buffer is given back when the
   * call that wrote its reply has returned: a TUN device takes a packet at once or not at all.
   */
  "ring, multishot": (tun, served) => {
    block(tun);
    const ring = new Ring(256, [tun]);
    const buffers = new Buffers(256);
    const pool = new BufferRing(ring, buffers);
    const used: number[] = [];
    let isArmed = false;
    const take = (isReply: number, length: number, flags: number) => {
      if (isReply !== 0) return void check(length, "Cannot write", "IORING_OP_WRITE");
      isArmed = (flags & CompletionFlag.more) !== 0;
      if (length === -Errno.ENOBUFS) return;
      check(length, "Cannot read", "IORING_OP_READ_MULTISHOT");
      const index = flags >>> CompletionFlag.bufferShift;
      used.push(index);
      if (!answer(buffers.at(index), length)) return;
      ring.put(Op.write, EntryFlag.noCompletion, 0, buffers.low(index), buffers.high(index), length, 1);
      served.packets++;
    };
    for (;;) {
      if (!isArmed) ring.put(Op.readMultishot, EntryFlag.selectBuffer, 0, 0, 0, 0, 0);
      isArmed = true;
      served.calls = ring.calls + 1;
      ring.enter(1);
      for (const index of used) pool.give(index);
      pool.publish();
      used.length = 0;
      ring.complete(take);
    }
  },
};

/** Takes O_NONBLOCK off: io_uring gives up at once on a file that has it, where it should wait. */
function block(fd: number): void {
  check(kernel.fcntl(fd, 4, /* F_SETFL */ 2 /* O_RDWR */), "Cannot let the device block", "fcntl");
}

async function serve(name: string): Promise<void> {
  using tun = await makeTun();
  console.log("ready");
  const served = { packets: 0, calls: 0 };
  try {
    SERVERS[name]!(tun.number, served);
  } catch (error) {
    if (!(error instanceof Asked)) throw error;
    console.log(JSON.stringify(served satisfies Served));
  }
}

async function makeTun() {
  // The ring of a process that has ended is taken down in the background, and holds the device for as long.
  while (interfaceExists(DEVICE)) await new Promise((resolve) => setTimeout(resolve, 5));
  const tun = attachTun(DEVICE);
  await Deno.writeTextFile(`/proc/sys/net/ipv6/conf/${DEVICE}/disable_ipv6`, "1").catch(() => {});
  await run(["ip", "address", "add", `${ADDRESS}/24`, "dev", DEVICE]);
  await run(["ip", "link", "set", DEVICE, "up"]);
  return tun;
}

// ---------------------------------------------------------------------------------------------------------------
// Calls
// ---------------------------------------------------------------------------------------------------------------

/** Packets at a time, and how often that is done in a round. */
const COUNTS = [1, 8, 64] as const;
const REPEATS = 300;

const time = new BigInt64Array(2);
const timeBytes = new Uint8Array(time.buffer);

/** Nanoseconds that this thread has spent on a core, in the kernel and out of it. */
function cpuTime(): number {
  kernel.clock_gettime(3, /* CLOCK_THREAD_CPUTIME_ID */ timeBytes);
  return Number(time[0]) * 1e9 + Number(time[1]);
}

/** One way to do something with so many packets. */
interface Way {
  readonly what: string;
  readonly name: string;
  /** System calls for `count` packets. */
  calls(count: number): number;
  prepare?(count: number, size: number): void;
  /** What is timed. */
  act(count: number, size: number): void;
  /** Whether everything got there. */
  settle(count: number): boolean;
}

/** Measures every way in turn and prints JSON: nanoseconds a packet, by way, count and size. */
async function measureCalls(): Promise<void> {
  using tun = await makeTun();
  using feeder = UdpSocket.bind(OWN, 4 << 20);
  using from = UdpSocket.bind(LOOPBACK, 4 << 20);
  using to = UdpSocket.bind(LOOPBACK, 4 << 20);
  const feed = new UdpSender(feeder.fd.number);
  const behind = new SockaddrIn({ address: OTHER, port: 9 });
  const here = new SockaddrIn({ address: LOOPBACK, port: to.localPort });
  const sender = new UdpSender(from.fd.number);
  const receiver = new UdpReceiver(to.fd.number);
  const ring = new Ring(64, [tun.number, from.fd.number]);
  const destination = new Memory(16);
  destination.bytes.set(here.bytes);
  const destinationAt = destination.address(0);
  const buffers = new Buffers(64);
  const packet = new Uint8Array(BUFFER);
  let came = 0;

  const fill = (count: number, size: number) => {
    for (let n = 0; n < count; n++) {
      feed.add(packet, 0, size - 28, behind);
      feed.flush();
    }
  };
  const drained = (count: number) => {
    for (let length = receiver.receive(); length !== NO_DATAGRAM; length = receiver.receive()) {
      came += Math.ceil(length / receiver.segment);
    }
    const all = came === count;
    came = 0;
    return all;
  };
  const takeRead = (_: number, result: number) => void (came += result > 0 ? 1 : 0);
  const haveCome = (count: number) => {
    const all = came === count;
    came = 0;
    return all;
  };
  const reply = (_: number, size: number) => {
    writeReply(packet, size);
    for (let n = 0; n < buffers.count; n++) writeReply(buffers.at(n), size);
  };
  const none = () => 0;
  const ways: readonly Way[] = [
    {
      what: "TUN read",
      name: "read(2) each",
      calls: (count) => count,
      prepare: fill,
      act(count) {
        for (let n = 0; n < count; n++) if (readPacket(tun.number, packet, packet.length) > 0) came++;
      },
      settle: haveCome,
    },
    {
      what: "TUN read",
      name: "ring",
      calls: () => 1,
      prepare: fill,
      act(count) {
        for (let n = 0; n < count; n++) {
          ring.put(Op.read, 0, 0, buffers.low(n), buffers.high(n), BUFFER, n);
        }
        ring.enter(count);
        ring.complete(takeRead);
      },
      settle: haveCome,
    },
    {
      what: "TUN write",
      name: "write(2) each",
      calls: (count) => count,
      prepare: reply,
      act(count, size) {
        for (let n = 0; n < count; n++) if (writePacket(tun.number, packet, size)) came++;
      },
      settle: haveCome,
    },
    {
      what: "TUN write",
      name: "ring",
      calls: () => 1,
      prepare: reply,
      act(count, size) {
        for (let n = 0; n < count; n++) {
          ring.put(Op.write, EntryFlag.noCompletion, 0, buffers.low(n), buffers.high(n), size, n);
        }
        ring.enter(0);
        // Only failures complete.
        came = count - ring.complete(none);
      },
      settle: haveCome,
    },
    {
      what: "UDP send",
      name: "the train",
      calls: () => 1,
      act(count, size) {
        for (let n = 0; n < count; n++) sender.add(packet, 0, size, here);
        sender.flush();
      },
      settle: drained,
    },
    {
      what: "UDP send",
      name: "sendmsg(2) each",
      calls: (count) => count,
      act(count, size) {
        for (let n = 0; n < count; n++) {
          sender.add(packet, 0, size, here);
          sender.flush();
        }
      },
      settle: drained,
    },
    {
      what: "UDP send",
      name: "ring",
      calls: () => 1,
      act(count, size) {
        for (let n = 0; n < count; n++) ring.putSend(1, buffers, n, size, destinationAt);
        ring.enter(0);
        if (ring.complete(none) > 0) throw new Error("a datagram was refused");
      },
      settle: drained,
    },
  ];

  /** The CPU time of one go of each way, in their order. */
  const goAll = (count: number, size: number) =>
    ways.map(({ what, name, prepare, act, settle }) => {
      prepare?.(count, size);
      const start = cpuTime();
      act(count, size);
      const spent = cpuTime() - start;
      if (!settle(count)) throw new Error(`${what}, ${name}: packets are missing`);
      return spent;
    });
  // First everything once for nothing, so that nobody is measured while code is still being compiled.
  for (const count of COUNTS) for (let repeat = 0; repeat < REPEATS; repeat++) goAll(count, SIZES[0]);

  const taken: CallFigure[] = [];
  for (const size of SIZES) {
    for (const count of COUNTS) {
      const empty: number[] = [];
      const spans = Array.from({ length: REPEATS }, () => {
        const start = cpuTime();
        empty.push(cpuTime() - start);
        return goAll(count, size);
      });
      for (const [index, { what, name, calls }] of ways.entries()) {
        const span = quantile(spans.map((all) => all[index]!), 0.5) - quantile(empty, 0.5);
        taken.push({ what, name, size, count, nanoseconds: span / count, calls: calls(count) / count });
      }
    }
  }
  console.log(JSON.stringify(taken));
}

interface CallFigure {
  readonly what: string;
  readonly name: string;
  readonly size: number;
  readonly count: number;
  /** CPU time for a packet. */
  readonly nanoseconds: number;
  /** System calls for a packet. */
  readonly calls: number;
}

/** An echo reply from behind the TUN device that nobody waits for. */
function writeReply(packet: Uint8Array<ArrayBuffer>, size: number): void {
  const view = new DataView(packet.buffer, packet.byteOffset, size);
  packet.fill(0, 0, size);
  view.setUint16(0, 0x4500);
  view.setUint16(2, size);
  view.setUint16(8, 0x4001);
  view.setUint32(12, OTHER);
  view.setUint32(16, OWN);
  view.setUint16(10, checksum(view, 0, 20));
  view.setUint16(22, checksum(view, 20, size));
}

// ---------------------------------------------------------------------------------------------------------------
// The report
// ---------------------------------------------------------------------------------------------------------------

/** One server, one load. */
interface EchoFigure {
  readonly name: string;
  readonly size: number;
  readonly window: number;
  readonly calls: number;
  readonly cpu: number;
  readonly rate: number;
  readonly trip: number;
}

/** Packets on the way at once, and seconds of each load. */
const WINDOWS = [1, 64] as const;
const WARMUP = 0.3;
const SPAN = 0.6;

/** Measures one server under one load. A server answers one load only, so that its calls are that load's. */
async function measureEcho(
  loadProgram: string,
  name: string,
  size: number,
  window: number,
): Promise<EchoFigure> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, "serve", name],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const said = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  if ((await said.next()).value !== "ready\n") throw new Error(`${name} did not start`);
  const options = {
    ...{ target: HOST, flows: 1, size: size - 28, window, warmupSeconds: WARMUP, spanSeconds: SPAN },
    watch: [child.pid],
  };
  const result = await load(loadProgram, new Place(["env"]), options, AbortSignal.timeout(20_000));
  if (result.lost + result.damaged + result.duplicates > 0) throw new Error(`${name} answers wrongly`);
  const asker = Deno.listenDatagram({ transport: "udp", hostname: ADDRESS, port: 0 });
  await asker.send(Uint8Array.of(0), { transport: "udp", hostname: HOST, port: 9 });
  asker.close();
  const served: Served = JSON.parse((await said.next()).value!);
  await child.status;
  return {
    name,
    size,
    window,
    calls: served.calls / served.packets,
    cpu: result.watchedCpuSeconds / result.counted * 1e6,
    rate: result.packetsPerSecond,
    trip: result.roundTripMicroseconds?.midmean ?? NaN,
  };
}

/** Everything, in a namespace that leads nowhere. */
async function measureAll(loadProgram: string, rounds: number): Promise<void> {
  await run(["ip", "link", "set", "lo", "up"]);
  const echoes: EchoFigure[][] = [];
  const calls: CallFigure[][] = [];
  for (let round = 0; round < rounds; round++) {
    console.error(`round ${round + 1} of ${rounds}`);
    const names = Object.keys(SERVERS);
    const inTurn = [...names.slice(round % names.length), ...names.slice(0, round % names.length)];
    const figures: EchoFigure[] = [];
    for (const size of SIZES) {
      for (const window of WINDOWS) {
        for (const name of inTurn) figures.push(await measureEcho(loadProgram, name, size, window));
      }
    }
    echoes.push(figures);
    calls.push(JSON.parse(await run([Deno.execPath(), "run", "-A", import.meta.filename!, "calls"])));
  }
  printEchoes(echoes);
  printCalls(calls);
}

function printEchoes(rounds: readonly (readonly EchoFigure[])[]): void {
  const rows = SIZES.flatMap((size) =>
    WINDOWS.flatMap((window) => {
      const column = (name: string, figure: keyof EchoFigure) =>
        rounds.map((round) =>
          round.find((f) => f.size === size && f.window === window && f.name === name)![figure] as number
        );
      const [today] = Object.keys(SERVERS) as [string];
      return Object.keys(SERVERS).map((name) => {
        const middle = (figure: keyof EchoFigure) => quantile(column(name, figure), 0.5);
        const ratio = (figure: keyof EchoFigure) =>
          quantile(pairedRatios(column(name, figure), column(today, figure)), 0.5).toFixed(2);
        return [
          `${size} bytes, ${window} on the way`,
          name,
          middle("calls").toFixed(2),
          middle("cpu").toFixed(2),
          ratio("cpu"),
          formatFigure(middle("rate"), 0),
          ratio("rate"),
          middle("trip").toFixed(1),
        ];
      });
    })
  );
  const head = [
    "echo",
    "way",
    "calls/packet",
    "CPU µs/packet",
    "ratio",
    "packets/s",
    "ratio",
    "round trip µs",
  ];
  console.log(layOut(head, rows, 2).join("\n") + "\n");
}

function printCalls(rounds: readonly (readonly CallFigure[])[]): void {
  const [first] = rounds as [CallFigure[]];
  const rows = first.map(({ what, name, size, count, calls }, index) => {
    const mine = rounds.map((round) => round[index]!.nanoseconds);
    const today = first.findIndex((f) => f.what === what && f.size === size && f.count === count);
    const ratios = pairedRatios(mine, rounds.map((round) => round[today]!.nanoseconds));
    return [
      `${what}, ${size} bytes`,
      `${count} at once`,
      name,
      calls.toFixed(2),
      (quantile(mine, 0.5) / 1000).toFixed(2),
      quantile(ratios, 0.5).toFixed(2),
    ];
  });
  const order = rows.toSorted((a, b) => a[0]! < b[0]! ? -1 : a[0]! > b[0]! ? 1 : 0);
  console.log(layOut(["calls", "", "way", "calls/packet", "CPU µs/packet", "ratio"], order, 3).join("\n"));
}

async function main([command, ...args]: readonly string[]): Promise<void> {
  switch (command) {
    case "serve":
      return await serve(args[0]!);
    case "calls":
      return await measureCalls();
    case "inside":
      return await measureAll(args[0]!, Number(args[1]));
    case undefined:
    case "--rounds": {
      const root = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
      const { load } = await buildFloor(root, AbortSignal.timeout(60_000));
      const { code } = await new Deno.Command("unshare", {
        args: ["--net", Deno.execPath(), "run", "-A", import.meta.filename!, "inside", load, args[0] ?? "7"],
      }).spawn().status;
      Deno.exitCode = code;
      return;
    }
    default:
      throw new TypeError(`unknown argument: ${command}`);
  }
}

await main(Deno.args);
