/**
 * Packets that pass an interface, captured by tcpdump. A capture is complete up to the moment of
 * asking.
 *
 * @module
 */
import assert from "node:assert/strict";
import { VM } from "../../../src/lab/topology.ts";
import type { Lab } from "./lab.ts";
import { Text } from "./onion.ts";

/** Milliseconds after which an expected packet counts as lost. */
const PATIENCE = 10_000;

/** Echo identifier of the capture's own pings. No test uses it. */
const MARK = 65_261;

/** Where and what to capture. */
export interface Place {
  /** The party of the lab that has the interface. */
  readonly party: string;
  readonly interface: string;
  /** A host at the other end of the link that answers pings, which mark moments. */
  readonly answers: string;
  /** A filter for pcap-filter(7); all IPv4 packets by default. */
  readonly filter?: string;
}

/** A running capture. It ends with its block. */
export class Capture implements AsyncDisposable {
  readonly #lab: Lab;
  readonly #place: Place;
  readonly #tcpdump: Deno.ChildProcess;
  readonly #said: Text;
  readonly #reading: Promise<void>;
  /** The output of tcpdump, one line a packet. */
  readonly #lines: string[] = [];
  #more = Promise.withResolvers<void>();
  #marks = 0;

  private constructor(lab: Lab, place: Place, tcpdump: Deno.ChildProcess) {
    this.#lab = lab;
    this.#place = place;
    this.#tcpdump = tcpdump;
    this.#said = new Text(tcpdump.stderr);
    this.#reading = this.#read();
  }

  /** Starts a capture. It sees every packet from then on. */
  static async start(lab: Lab, place: Place): Promise<Capture> {
    const { party, filter = "ip" } = place;
    const [program, ...args] = lab.inside(party);
    // One line a packet at once, without times and names. Not promiscuous, because a snapshot would
    // show that.
    args.push("tcpdump", "-l", "-n", "-t", "-p", "--immediate-mode", "-i", place.interface);
    args.push(`(${filter}) or (icmp[icmptype] <= 8 and icmp[4:2] == ${MARK})`);
    const tcpdump = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
    const capture = new Capture(lab, place, tcpdump);
    await capture.#said.find(/^(tcpdump: )?listening on /m);
    return capture;
  }

  /** All packets that have passed so far, as tcpdump prints them. */
  async packets(): Promise<string[]> {
    const { party, interface: device, answers } = this.#place;
    const mark = ["-I", device, "-c", "1", "-w", "5", "-e", `${MARK}`, answers];
    const { code, stdout, stderr } = await this.#lab.run(party, "ping", "-n", ...mark);
    assert.equal(code, 0, stdout + stderr);
    const marks = ++this.#marks;
    await this.#until(() =>
      this.#lines.filter((line) => isMark(line) && line.includes("echo reply")).length === marks
    );
    return this.#packets();
  }

  /** Waits until `count` packets have passed. */
  async atLeast(count: number): Promise<void> {
    await this.#until(() => this.#packets().length >= count);
  }

  #packets(): string[] {
    return this.#lines.filter((line) => !isMark(line));
  }

  async #until(isSo: () => boolean): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(new Error(`not seen on ${this.#place.interface}; the last was ${this.#lines.at(-1)}`));
    }, PATIENCE);
    try {
      while (!isSo()) await Promise.race([this.#more.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#tcpdump.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      this.#lines.push(...lines);
      this.#more.resolve();
      this.#more = Promise.withResolvers();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#tcpdump.kill("SIGINT");
    } catch {
      // It has already ended, e.g. with its interface.
    }
    await Promise.all([this.#tcpdump.status, this.#reading, this.#said.whole]);
  }
}

/** A datagram over loopback. */
interface Datagram {
  /** The source port. */
  readonly from: number;
  /** The destination port. */
  readonly to: number;
  readonly payload: Uint8Array;
}

/** The data of a recording's own pings, as hex digits for ping(8). Nothing else contains it. */
const FILLING = "6f6e696f6e2d6d61726b2d6f6e2d6c6f";

/** A recording of the VM's loopback interface, byte by byte. It ends with its block. */
export class Recording implements AsyncDisposable {
  readonly #lab: Lab;
  readonly #tcpdump: Deno.ChildProcess;
  readonly #said: Text;
  readonly #reading: Promise<void>;
  readonly #pieces: Uint8Array[] = [];
  #more = Promise.withResolvers<void>();

  private constructor(lab: Lab, tcpdump: Deno.ChildProcess) {
    this.#lab = lab;
    this.#tcpdump = tcpdump;
    this.#said = new Text(tcpdump.stderr);
    this.#reading = this.#read();
  }

  /** Starts a recording. It holds every packet from then on. */
  static async start(lab: Lab): Promise<Recording> {
    const [program, ...args] = lab.inside(VM);
    args.push("tcpdump", "-U", "-n", "-p", "--immediate-mode", "-i", "lo", "-w", "-", "ip");
    const tcpdump = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
    const recording = new Recording(lab, tcpdump);
    await recording.#said.find(/^(tcpdump: )?listening on /m);
    return recording;
  }

  /** The capture file so far. */
  async bytes(): Promise<Uint8Array> {
    const ping = ["ping", "-n", "-c", "1", "-w", "5", "-s", "64", "-p", FILLING, "127.0.0.1"];
    const { code, stdout, stderr } = await this.#lab.run(VM, ...ping);
    assert.equal(code, 0, stdout + stderr);
    const filling = characters(Uint8Array.fromHex(FILLING)).repeat(2);
    for (;;) {
      const bytes = concat(this.#pieces);
      // The reply contains it too.
      if (characters(bytes).split(filling).length >= 3) return bytes;
      await this.#more.promise;
    }
  }

  /** The UDP datagrams so far, except for fragmented ones. */
  async datagrams(): Promise<Datagram[]> {
    return datagramsOf(await this.bytes());
  }

  async #read(): Promise<void> {
    for await (const piece of this.#tcpdump.stdout) {
      this.#pieces.push(piece);
      this.#more.resolve();
      this.#more = Promise.withResolvers();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tcpdump.kill("SIGINT");
    await Promise.all([this.#tcpdump.status, this.#reading, this.#said.whole]);
  }
}

/**
 * Bytes of the headers of a capture file, of a packet in it, and of Ethernet (pcap-savefile(5)).
 */
const Header = { file: 24, packet: 16, ethernet: 14 } as const;

/** The unfragmented UDP datagrams in a capture of IPv4 over Ethernet, which loopback imitates. */
function datagramsOf(file: Uint8Array): Datagram[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const littleEndian = view.getUint32(0, true) === 0xa1b2_c3d4;
  const found: Datagram[] = [];
  for (let at = Header.file; at < file.length;) {
    const captured = view.getUint32(at + 8, littleEndian);
    const ip = at + Header.packet + Header.ethernet;
    at += Header.packet + captured;
    const isFragment = (view.getUint16(ip + 6) & 0x3fff) !== 0;
    if (view.getUint8(ip + 9) !== 17 || isFragment) continue;
    const udp = ip + 4 * (view.getUint8(ip) & 0xf);
    const payload = file.slice(udp + 8, ip + view.getUint16(ip + 2));
    found.push({ from: view.getUint16(udp), to: view.getUint16(udp + 2), payload });
  }
  return found;
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Bytes as text, one character a byte. */
export function characters(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function isMark(line: string): boolean {
  return line.includes(`, id ${MARK},`);
}
