/**
 * `onion --stage N`, as a user runs it.
 *
 * @module
 */
import type { Contender, Shape, Targets } from "../contender.ts";
import { Daemon } from "../daemon.ts";
import { Lab, LAB_HOST } from "../lab.ts";
import { Netns } from "../netns.ts";
import type { Place } from "../place.ts";
import { behindTunnel, TUNNEL } from "./tunnel.ts";

/** The executable, its stage, and its name. */
export interface StageSetting {
  readonly name: string;
  readonly stage: 2 | 3 | 4 | 5 | 6;
  /** Path of the executable. */
  readonly onion: string;
  /**
   * Path of the executable that makes the practice network: this tree's, also for another revision.
   */
  readonly labOnion: string;
  /** Whether a crowd of hosts is behind the tunnel of stage 2, as in the practice network. */
  readonly wide: boolean;
  /** Further options, e.g. `--no-packet-log`. */
  readonly options: readonly string[];
  /** See {@linkcode Contender.before}. */
  readonly before?: string;
  /** See {@linkcode Contender.mayFail}. */
  readonly mayFail: boolean;
}

/** Where a stage runs, and where its packets go. */
interface Surroundings {
  readonly shape: Shape;
  readonly kernel: string;
  readonly place: Place;
  readonly targets: Targets;
  /** Options of the run there. */
  readonly address: readonly string[];
  pids(): Promise<number[]>;
}

/** Makes the place for a stage; `stack` removes it. The program makes the TUN device itself. */
export async function makeStage(setting: StageSetting, stack: AsyncDisposableStack): Promise<Contender> {
  const { name, stage, onion, options, before, mayFail } = setting;
  const { pids, address, ...surroundings } = await surround(setting, stack);
  return {
    name,
    floor: false,
    ...surroundings,
    ...(before === undefined ? {} : { before }),
    mayFail,
    async start(signal) {
      await using made = new AsyncDisposableStack();
      const logs = await Deno.makeTempDir({ prefix: "onionbench-log-" });
      made.defer(() => Deno.remove(logs, { recursive: true }));
      const command = [onion, "--stage", String(stage), "--log-dir", logs, ...address, ...options];
      const { daemon, startMs } = await Daemon.start(surroundings.place, name, command, {
        cwd: logs,
        signal,
      });
      made.use(daemon);
      const owned = made.move();
      return { startMs, ended: daemon.ended, pids, [Symbol.asyncDispose]: () => owned.disposeAsync() };
    },
  };
}

async function surround(
  { name, stage, labOnion, wide }: StageSetting,
  stack: AsyncDisposableStack,
): Promise<Surroundings> {
  switch (stage) {
    case 2: {
      const netns = stack.use(await Netns.make(name.replace("@", "-")));
      return {
        shape: "two processes",
        kernel: "veth",
        place: netns,
        targets: { packets: behindTunnel(wide) },
        address: wide ? ["--address", TUNNEL.wide] : [],
        pids: () => netns.pids(),
      };
    }
    case 3:
    case 4:
    case 5:
    case 6: {
      const lab = stack.use(await Lab.up(labOnion));
      return {
        shape: stage <= 4 ? "raw exit" : "circuit",
        kernel: "lab_route",
        place: lab.vm,
        targets: { packets: { ...LAB_HOST, device: TUNNEL.device } },
        address: [],
        pids: () => lab.pids(),
      };
    }
  }
}
