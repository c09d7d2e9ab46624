/**
 * A local user without rights, and what they can do to a run: send datagrams to its ports.
 *
 * @module
 */
import assert from "node:assert/strict";
import { VM } from "../../../src/lab/topology.ts";
import type { Lab } from "./lab.ts";
import { AS_NOBODY, NOBODY_ID } from "./nobody.ts";
import { scratchDirectory } from "./program.ts";

/** What is sent from where to where; without a port, from any. */
export interface Shot {
  readonly from: { readonly address: string; readonly port?: number };
  readonly to: number;
  readonly payload: Uint8Array;
}

/** A socket for each sender, one datagram after the other. */
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

/** Sends them from the VM, as nobody. */
export async function shoot(lab: Lab, shots: readonly Shot[]): Promise<void> {
  using scratch = scratchDirectory();
  const orders = `${scratch.path}/shots.json`;
  const told = shots.map(({ from: { address, port = 0 }, to, payload }) => ({
    ...{ address, port, to },
    hex: payload.toHex(),
  }));
  Deno.writeTextFileSync(orders, JSON.stringify(told));
  for (const path of [scratch.path, orders]) Deno.chownSync(path, NOBODY_ID, NOBODY_ID);
  const deno = ["env", `DENO_DIR=${scratch.path}`, Deno.execPath(), "eval", "--unstable-net", SEND, orders];
  const { code, stderr } = await lab.run(VM, ...AS_NOBODY, ...deno);
  assert.equal(code, 0, stderr);
}

/** The UDP ports that a process listens on, as the kernel knows. */
export function udpPorts(pid: number): number[] {
  const sockets = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(Deno.readLinkSync(`/proc/${pid}/fd/${name}`))?.[1];
    } catch {
      return undefined; // closed since
    }
  });
  // proc(5): local address and port in hexadecimal come second, and the inode tenth.
  const lines = Deno.readTextFileSync(`/proc/${pid}/net/udp`).trimEnd().split("\n").slice(1);
  return lines.map((line) => line.trim().split(/\s+/))
    .filter((fields) => sockets.includes(fields[9]))
    .map((fields) => parseInt(fields[1]!.split(":")[1]!, 16));
}
