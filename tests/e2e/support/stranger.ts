/**
 * A local user without privileges, who sends datagrams to the ports of a run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { VM } from "../../../src/lab/topology.ts";
import type { Lab } from "./lab.ts";
import { AS_NOBODY, NOBODY_ID } from "./nobody.ts";
import { scratchDirectory } from "./program.ts";

/** A datagram with its source and destination; without a source port, from any port. */
export interface Shot {
  readonly from: { readonly address: string; readonly port?: number };
  readonly to: number;
  readonly payload: Uint8Array;
}

/** Sends datagrams in order, by one socket for each source. */
const SEND = `
  const sockets = new Map();
  for (const { address, port, to, hex } of JSON.parse(Deno.readTextFileSync(Deno.args[0]))) {
    const from = address + ":" + port;
    if (!sockets.has(from)) {
      sockets.set(from, Deno.listenDatagram({ transport: "udp", hostname: address, port }));
    }
    const there = { transport: "udp", hostname: "127.0.0.1", port: to };
    await sockets.get(from).send(Uint8Array.fromHex(hex), there);
  }
`;

/** A place to bind a socket to. */
interface Place {
  readonly address: string;
  /** The interface to bind the socket to first; empty for none. */
  readonly device: string;
  readonly port: number;
}

/** Binds a socket to each place, and prints the results. */
const SQUAT = `
  const [AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_BINDTODEVICE, EADDRINUSE] = [2, 2, 1, 25, 98];
  const { symbols: libc } = Deno.dlopen("libc.so.6", {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    __errno_location: { parameters: [], result: "pointer" },
  });
  const errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(libc.__errno_location(), 4));
  const outcomes = JSON.parse(Deno.readTextFileSync(Deno.args[0])).map(({ address, device, port }) => {
    const fd = libc.socket(AF_INET, SOCK_DGRAM, 0);
    if (device !== "") {
      const name = new TextEncoder().encode(device + "\\0");
      if (libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) < 0) return "no " + device;
    }
    const place = new Uint8Array([AF_INET, 0, port >> 8, port & 0xff, ...address.split("."), ...new Array(8)]);
    if (libc.bind(fd, place, place.length) === 0) return "taken";
    return errno[0] === EADDRINUSE ? "EADDRINUSE" : "errno " + errno[0];
  });
  console.log(JSON.stringify(outcomes));
`;

/**
 * Binds a socket to each of these places in the VM, as nobody. Returns `taken` or the error for
 * each.
 */
export async function squat(lab: Lab, places: readonly Place[]): Promise<string[]> {
  return JSON.parse(await evaluate(lab, SQUAT, places));
}

/** Sends datagrams in the VM, as nobody. */
export async function shoot(lab: Lab, shots: readonly Shot[]): Promise<void> {
  const told = shots.map(({ from: { address, port = 0 }, to, payload }) => ({
    ...{ address, port, to },
    hex: payload.toHex(),
  }));
  await evaluate(lab, SEND, told);
}

/** Runs a program in the VM, as nobody, with a file of orders. Returns its output. */
async function evaluate(lab: Lab, program: string, orders: unknown): Promise<string> {
  using scratch = scratchDirectory();
  const file = `${scratch.path}/orders.json`;
  Deno.writeTextFileSync(file, JSON.stringify(orders));
  for (const path of [scratch.path, file]) Deno.chownSync(path, NOBODY_ID, NOBODY_ID);
  const deno = ["env", `DENO_DIR=${scratch.path}`, Deno.execPath(), "eval", "--unstable-net", program, file];
  const { code, stdout, stderr } = await lab.run(VM, ...AS_NOBODY, ...deno);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** The UDP ports that a process listens on, from /proc. */
export function udpPorts(pid: number): number[] {
  const sockets = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(Deno.readLinkSync(`/proc/${pid}/fd/${name}`))?.[1];
    } catch {
      return undefined; // closed in the meantime
    }
  });
  // proc(5): the second field has the local address and port in hex, the tenth the inode.
  const lines = Deno.readTextFileSync(`/proc/${pid}/net/udp`).trimEnd().split("\n").slice(1);
  return lines.map((line) => line.trim().split(/\s+/))
    .filter((fields) => sockets.includes(fields[9]))
    .map((fields) => parseInt(fields[1]!.split(":")[1]!, 16));
}
