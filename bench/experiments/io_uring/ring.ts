/**
 * io_uring by FFI: the rings are plain memory.
 *
 * @module
 */
import { Errno } from "../../../src/sys/errno.ts";
import { check, errno } from "../../../src/sys/libc.ts";

/**
 * The calls that have no function in glibc. `long syscall(long number, ...)`: on x86-64 and arm64 a variadic function takes
 * integers and pointers as any other does.
 */
export const { symbols: kernel } = Deno.dlopen("libc.so.6", {
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
export const Op = { read: 22, write: 23, send: 26, readMultishot: 49 } as const;
export const EntryFlag = { fixedFile: 1, selectBuffer: 1 << 5, noCompletion: 1 << 6 } as const;
export const CompletionFlag = { more: 1 << 1, bufferShift: 16 } as const;

/** Words of `struct io_uring_params` that the kernel fills in: sizes, and where things are in the rings' memory. */
const Params = { sqEntries: 0, cqEntries: 1, flags: 2, sq: 10, cq: 20, size: 120 } as const;
const SqOffset = { head: 0, tail: 1, mask: 2, array: 6 } as const;
const CqOffset = { head: 0, tail: 1, mask: 2, entries: 5 } as const;

/** Words of an entry of the submission queue, and of one of the completion queue. */
const SQE = 16;
const CQE = 4;

/** Memory that the kernel knows by its address, so it may neither move nor be collected. It is never given back. */
export class Memory {
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
export const BUFFER = 2048;

/** So many buffers in memory that the kernel knows. */
export class Buffers {
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
export class Ring {
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
export class BufferRing {
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
