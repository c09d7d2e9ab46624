/**
 * Echo: a process that answers pings on a TUN device, by several ways.
 *
 * @module
 */
import { Errno } from "../../../src/sys/errno.ts";
import { check, compileCalls } from "../../../src/sys/libc.ts";
import { Poller } from "../../../src/sys/poll.ts";
import { NO_PACKET, readPacket, writePacket } from "../../../src/sys/tun.ts";
import { makeTun } from "./ground.ts";
import { BUFFER, BufferRing, Buffers, CompletionFlag, EntryFlag, kernel, Op, Ring } from "./ring.ts";

/** What a server says at its end. */
export interface Served {
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

export const SERVERS: Readonly<Record<string, Serve>> = {
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

export async function serve(name: string): Promise<void> {
  compileCalls();
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
