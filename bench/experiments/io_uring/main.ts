/**
 * An experiment, not a part of onion: would io_uring carry packets cheaper than poll(2), read(2), write(2) and the UDP train?
 * docs/adr/0010-io-uring.md says what came out. It needs root, `cc`, `ip` and `unshare`, and Linux 6.7.
 *
 * ```
 *   deno run -A bench/experiments/io_uring/main.ts [--rounds 7]
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
import { buildFloor } from "../../build.ts";
import { measureCalls } from "./calls.ts";
import { serve } from "./echo.ts";
import { PROGRAM } from "./ground.ts";
import { measureAll } from "./report.ts";

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
      const root = new URL("../../..", import.meta.url).pathname.replace(/\/$/, "");
      const { load } = await buildFloor(root, AbortSignal.timeout(60_000));
      const { code } = await new Deno.Command("unshare", {
        args: ["--net", Deno.execPath(), "run", "-A", PROGRAM, "inside", load, args[0] ?? "7"],
      }).spawn().status;
      Deno.exitCode = code;
      return;
    }
    default:
      throw new TypeError(`unknown argument: ${command}`);
  }
}

await main(Deno.args);
