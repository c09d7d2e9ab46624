/**
 * Measures the time to build a circuit with all routers on this machine.
 *
 * ```
 *   deno run -A bench/circuits.ts [ROUNDS]
 * ```
 *
 * @module
 */
import { findOnion } from "./build.ts";
import { Daemon } from "./daemon.ts";
import { Lab } from "./lab.ts";
import { summarize } from "./stats.ts";
import { formatFigure, formatSpread, layOut } from "./table.ts";
import { TUNNEL } from "./contenders/tunnel.ts";

/** Clients that ask for a circuit in a run: addresses of the tunnel's block, from this one on. */
const CLIENTS = 30;
const FIRST_CLIENT = 100;

/** Routers on the path, plain or sealed. The run has one more router. */
const KINDS = [
  { name: "plain, 1 hop", stage: 5, hops: 1 },
  { name: "plain, 3 hops", stage: 5, hops: 3 },
  { name: "sealed, 1 hop", stage: 6, hops: 1 },
  { name: "sealed, 3 hops", stage: 6, hops: 3 },
  { name: "sealed, 5 hops", stage: 6, hops: 5 },
] as const;

const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** One run. Returns the mean time of its builds in ms. */
async function measureBuilds(lab: Lab, onion: string, stage: number, hops: number): Promise<number> {
  const logs = await Deno.makeTempDir({ prefix: "onionbench-log-" });
  try {
    const options = ["--stage", `${stage}`, "--routers", `${hops + 1}`, "--hops", `${hops}`, "--json"];
    const command = [onion, ...options, "--no-packet-log", "--log-dir", logs];
    const { signal } = new AbortController();
    const { daemon } = await Daemon.start(lab.vm, "circuits", command, {
      cwd: logs,
      signal,
      ready: /"event":"ready"/,
    });
    try {
      for (let client = FIRST_CLIENT; client < FIRST_CLIENT + CLIENTS; client++) {
        const address = TUNNEL.address.replace(/\.\d+\/.*/, `.${client}`);
        await lab.vm.run(["ip", "address", "add", `${address}/32`, "dev", TUNNEL.device]);
        // Nobody answers there; only the request matters.
        await lab.vm.run(["sh", "-c", `ping -q -c 1 -w 1 -W 0.05 -I ${address} ${TUNNEL.host} || :`]);
      }
    } finally {
      await daemon[Symbol.asyncDispose]();
    }
    const last = daemon.said.trim().split("\n").findLast((line) => line.includes('"event":"ended"'));
    const ended = JSON.parse(last ?? "{}");
    const { "circuits-built": built = 0, "build-time": micros } = ended.counters.proxy;
    if (built <= CLIENTS) throw new Error(`only ${built} circuits were built`);
    return micros / built / 1000;
  } finally {
    await Deno.remove(logs, { recursive: true });
  }
}

const rounds = Number(Deno.args[0] ?? 5);
const onion = await findOnion(ROOT);
await using lab = await Lab.up(onion);
const means = new Map<string, number[]>(KINDS.map(({ name }) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (const { name, stage, hops } of KINDS) {
    console.error(`round ${round + 1} of ${rounds}: ${name}`);
    means.get(name)!.push(await measureBuilds(lab, onion, stage, hops));
  }
}
const rows = [...means].map(([name, values]) => {
  const summary = summarize(values)!;
  return [name, formatFigure(summary.median, 2), formatSpread(summary, 2)];
});
console.log(layOut(["to build a circuit, ms", "median", "min–max"], rows, 1).join("\n"));
