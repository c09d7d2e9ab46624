/**
 * Ours: `onion --stage N`, as a user runs it, per-packet log files included.
 *
 * @module
 */
import type { Contender } from "../contender.ts";
import { Daemon } from "../daemon.ts";
import { Netns } from "../netns.ts";

/** Which executable runs which stage, and what it is called. */
export interface StageSetting {
  readonly name: string;
  readonly stage: number;
  /** Path of the executable. */
  readonly onion: string;
  /** See {@linkcode Contender.before}. */
  readonly before?: string;
}

/** Makes the namespace of one stage; it goes with `stack`. The TUN device is made by the program itself. */
export async function makeStage(setting: StageSetting, stack: AsyncDisposableStack): Promise<Contender> {
  const { name, stage, onion } = setting;
  const netns = stack.use(await Netns.make(name.replace("@", "-")));
  return {
    name,
    shape: "two processes",
    floor: false,
    ...(setting.before === undefined ? {} : { before: setting.before }),
    netns,
    target: "10.5.51.7",
    async start(signal) {
      await using made = new AsyncDisposableStack();
      const logs = await Deno.makeTempDir({ prefix: "onionbench-log-" });
      made.defer(() => Deno.remove(logs, { recursive: true }));
      const command = [onion, "--stage", String(stage), "--log-dir", logs];
      const { daemon, startMs } = await Daemon.start(netns, name, command, { cwd: logs, signal });
      made.use(daemon);
      const owned = made.move();
      return { startMs, ended: daemon.ended, [Symbol.asyncDispose]: () => owned.disposeAsync() };
    },
  };
}
