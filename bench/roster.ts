/**
 * The contenders that the bench knows, by name.
 *
 * @module
 */
import type { FloorPrograms } from "./build.ts";
import type { Contender } from "./contender.ts";
import { makeFloor } from "./contenders/floor.ts";
import { makeStage } from "./contenders/stage.ts";
import { makeVeth } from "./contenders/veth.ts";

/** Executables that contenders are made from. */
export interface Executables {
  readonly floor: FloorPrograms;
  /** `onion` of this tree; present when one of ours takes part. */
  readonly onion?: string;
  /** `onion` of another revision, and that revision's short commit id. */
  readonly before?: { readonly onion: string; readonly commit: string };
}

/** One contender to choose. */
interface Entry {
  readonly name: string;
  /** Whether it is a stage of `onion`, which must be built and can be compared with another revision. */
  readonly ours: boolean;
  /** Makes it, and what it is compared with at another revision. */
  readonly make: (executables: Executables, stack: AsyncDisposableStack) => Promise<Contender[]>;
}

const ROSTER: readonly Entry[] = [
  { name: "veth", ours: false, make: async (_, stack) => [await makeVeth("veth", stack)] },
  {
    name: "tun_echo",
    ours: false,
    make: async ({ floor }, stack) => [await makeFloor("tun_echo", "one process", floor.tunEcho, stack)],
  },
  {
    name: "tun_pair",
    ours: false,
    make: async ({ floor }, stack) => [await makeFloor("tun_pair", "two processes", floor.tunPair, stack)],
  },
  stageEntry("stage2", 2),
];

/** Every name, in the table's order. */
export const NAMES: readonly string[] = ROSTER.map((entry) => entry.name);

/** Those of {@linkcode NAMES} that are `onion` itself. */
export const OURS: readonly string[] = ROSTER.filter((entry) => entry.ours).map((entry) => entry.name);

/** Makes the contenders called `names`, in the table's order. What they need goes with `stack`. */
export async function makeContenders(
  names: readonly string[],
  executables: Executables,
  stack: AsyncDisposableStack,
): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const entry of ROSTER) {
    if (names.includes(entry.name)) contenders.push(...await entry.make(executables, stack));
  }
  return contenders;
}

function stageEntry(name: string, stage: number): Entry {
  return {
    name,
    ours: true,
    make: async ({ onion, before }, stack) => {
      if (onion === undefined) throw new Error(`${name} takes part, but onion was not built`);
      if (before === undefined) return [await makeStage({ name, stage, onion }, stack)];
      const old = `${name}@${before.commit}`;
      return [
        await makeStage({ name, stage, onion, before: old }, stack),
        await makeStage({ name: old, stage, onion: before.onion }, stack),
      ];
    },
  };
}
