/**
 * Calls: what the kernel takes for packets that are there already, by several ways.
 *
 * @module
 */
import { checksum } from "../../../src/buffer/checksum.ts";
import { compileCalls } from "../../../src/sys/libc.ts";
import { readPacket, writePacket } from "../../../src/sys/tun.ts";
import {
  LONGEST_TRAIN,
  NO_DATAGRAM,
  SockaddrIn,
  UdpReceiver,
  UdpSender,
  UdpSocket,
} from "../../../src/sys/udp.ts";
import { quantile } from "../../stats.ts";
import { LOOPBACK, makeTun, OTHER, OWN, SIZES } from "./ground.ts";
import { BUFFER, Buffers, EntryFlag, kernel, Memory, Op, Ring } from "./ring.ts";

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
export async function measureCalls(): Promise<void> {
  compileCalls();
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
  const train = new Uint8Array(LONGEST_TRAIN);
  const receive = () => receiver.receive(train, 0);
  const drained = (count: number) => {
    for (let length = receive(); length !== NO_DATAGRAM; length = receive()) {
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

export interface CallFigure {
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
