/**
 * Kills routers of a run while it carries pings.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Onion, Text } from "./onion.ts";
import { Address, type Vm } from "./vm.ts";

/** Pings every 50 ms, in the order of their answers. */
class SteadyPings implements AsyncDisposable {
  readonly #ping: Deno.ChildProcess;
  readonly #printed: Text;

  constructor(vm: Vm) {
    const pinging = ["ping", "-n", "-D", "-i", "0.05", "-I", Address.vm, Address.csail];
    const [program, ...args] = [...vm.lab.inside("vm"), "stdbuf", "-oL", ...pinging];
    this.#ping = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "null" }).spawn();
    this.#printed = new Text(this.#ping.stdout);
  }

  /** Waits for an answer that came after this moment, in ms since 1970. Returns when it came. */
  async answerAfter(moment: number): Promise<number> {
    for (let from = 0;;) {
      const unread = this.#printed.text.slice(from);
      for (const [, seconds] of unread.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from .*\n/gm)) {
        if (1000 * Number(seconds) > moment) return 1000 * Number(seconds);
      }
      from += unread.lastIndexOf("\n") + 1;
      await this.#printed.more();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ping.kill("SIGINT");
    await Promise.all([this.#ping.status, this.#printed.whole]);
  }
}

/** The process ids of the routers as the run has named them last. */
function pidsOf(onion: Onion, ready: readonly number[]): number[] {
  const pids = [...ready];
  for (const [, number, pid] of onion.stderr.text.matchAll(/router (\d) \(pid (\d+)\) has been started/g)) {
    pids[Number(number) - 1] = Number(pid);
  }
  return pids;
}

/**
 * Kills one router after another while pings run, each when the last one is up again. The router of
 * the latest path comes first.
 *
 * @param onion a run that restarts routers
 * @param times how many routers to kill
 * @returns ms from each kill to the first answer to a ping
 */
export async function killRouters(vm: Vm, onion: Onion, times: number): Promise<number[]> {
  const { routers } = await onion.ready();
  await using pings = new SteadyPings(vm);
  await pings.answerAfter(0);
  const took: number[] = [];
  for (let time = 0; time < times; time++) {
    const number = 1 + time % routers.length;
    const pid = pidsOf(onion, routers)[number - 1]!;
    const killed = Date.now();
    Deno.kill(pid, "SIGKILL");
    await onion.stderr.find(new RegExp(`router ${number} \\(pid ${pid}\\) died: SIGKILL\\n`));
    // An answer may have been on its way. The next one after the death was noticed counts.
    took.push(await pings.answerAfter(Date.now()) - killed);
    await onion.stderr.find(
      new RegExp(
        `(router ${number} is up again after [\\d.]+ s\\n[^]*){${1 + Math.floor(time / routers.length)}}`,
      ),
    );
  }
  assert.equal(took.length, times);
  return took;
}
