/**
 * A packet filter for sockets, in classic BPF (Documentation/networking/filter.rst).
 *
 * @module
 */
import { libcWith } from "./libc.ts";
import { SOL_SOCKET } from "./socket.ts";

const libc = libcWith("setsockopt");

/** `<asm-generic/socket.h>` */
const SO_ATTACH_FILTER = 26;

/** `<linux/filter.h>`: the base of offsets that count from the IP header. */
const SKF_NET_OFF = -0x10_0000;

/** Byte offset in an IPv4 header (RFC 791 §3.1). */
const SOURCE = 12;

/** Instructions, `<linux/bpf_common.h>`. */
const Instruction = {
  /** BPF_LD | BPF_W | BPF_ABS: loads the word at `k`. */
  load: 0x20,
  /** BPF_ALU | BPF_RSH | BPF_K: shifts it right by `k` bits. */
  shift: 0x74,
  /** BPF_JMP | BPF_JEQ | BPF_K: skips `yes` instructions if it equals `k`, otherwise `no`. */
  equal: 0x15,
  /** BPF_RET | BPF_K: keeps the first `k` bytes; 0 drops the packet. */
  keep: 0x06,
} as const;

/**
 * Accepts sources in 127.0.0.0/8 (RFC 1122 §3.2.1.3). The kernel drops such packets from outside.
 */
const FROM_LOOPBACK: readonly (readonly [code: number, k: number, yes: number, no: number])[] = [
  [Instruction.load, SKF_NET_OFF + SOURCE, 0, 0],
  [Instruction.shift, 24, 0, 0],
  [Instruction.equal, 127, 0, 1],
  [Instruction.keep, 0xffff_ffff, 0, 0],
  [Instruction.keep, 0, 0, 0],
];

/** Bytes of a `struct sock_filter`: code, 16 bits; two jumps, 8 bits each; k, 32 bits. */
const SOCK_FILTER = 8;

/** Bytes of a `struct sock_fprog`: length, 16 bits; the filter's address at 8. */
const SOCK_FPROG = 16;

/**
 * Drops all packets to an IPv4 socket that do not come from a loopback address.
 *
 * @returns whether the kernel accepted the filter
 */
export function takeLoopbackOnly(fd: number): boolean {
  const filter = new Uint8Array(FROM_LOOPBACK.length * SOCK_FILTER);
  const instructions = new DataView(filter.buffer);
  FROM_LOOPBACK.forEach(([code, k, yes, no], index) => {
    const at = index * SOCK_FILTER;
    instructions.setUint16(at, code, true);
    instructions.setUint8(at + 2, yes);
    instructions.setUint8(at + 3, no);
    instructions.setUint32(at + 4, k, true);
  });
  const program = new Uint8Array(SOCK_FPROG);
  const view = new DataView(program.buffer);
  view.setUint16(0, FROM_LOOPBACK.length, true);
  view.setBigUint64(8, Deno.UnsafePointer.value(Deno.UnsafePointer.of(filter)), true);
  return libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, program.length) === 0;
}
