/**
 * The contenders that the bench knows, by name.
 *
 * @module
 */
import type { FloorPrograms } from "./build.ts";
import type { Contender } from "./contender.ts";
import { makeFloor, makeRawFloor } from "./contenders/floor.ts";
import { makeLabRoute } from "./contenders/lab_route.ts";
import { makeStage, type StageSetting } from "./contenders/stage.ts";
import { AS_SHIPPED, makeTor, TUNED } from "./contenders/tor.ts";
import { makeVeth } from "./contenders/veth.ts";
import { makeWireguard } from "./contenders/wireguard.ts";

/** The executables of contenders. */
export interface Executables {
  readonly floor: FloorPrograms;
  /** `onion` of this tree; present if a contender needs it. */
  readonly onion?: string;
  /** `onion` of another revision, and that revision's short commit id. */
  readonly before?: { readonly onion: string; readonly commit: string };
}

/** What contenders are made for. */
export interface Purpose {
  /** Whether a crowd of hosts answers, for the growth with their number. */
  readonly wide: boolean;
}

/** What a contender is made of. */
type Kind =
  /** Built from C, or the kernel itself. */
  | "floor"
  /** The same, in a practice network that `onion` makes. */
  | "lab floor"
  /** `onion` itself, which can be compared with another revision. */
  | "ours"
  | "peer";

/** One contender to choose. */
interface Entry {
  readonly name: string;
  readonly kind: Kind;
  /** Whether it takes part in `--growth`. */
  readonly grows: boolean;
  /** Makes it, and its counterpart at another revision. */
  readonly make: (
    executables: Executables,
    purpose: Purpose,
    stack: AsyncDisposableStack,
  ) => Promise<Contender[]>;
}

const ROSTER: readonly Entry[] = [
  {
    name: "veth",
    kind: "floor",
    grows: true,
    make: async (_, __, stack) => [await makeVeth("veth", stack)],
  },
  {
    name: "tun_echo",
    kind: "floor",
    grows: false,
    make: async ({ floor }, { wide }, stack) => [
      await makeFloor("tun_echo", "one process", floor.tunEcho, wide, stack),
    ],
  },
  {
    name: "tun_pair",
    kind: "floor",
    grows: true,
    make: async ({ floor }, { wide }, stack) => [
      await makeFloor("tun_pair", "two processes", floor.tunPair, wide, stack),
    ],
  },
  stageEntry({ name: "stage2", stage: 2, options: [] }, true),
  stageEntry({ name: "stage2_free", stage: 2, options: ["--placement", "free"] }, false),
  stageEntry({ name: "stage2_nolog", stage: 2, options: ["--no-packet-log"] }, true),
  {
    name: "lab_route",
    kind: "lab floor",
    grows: true,
    make: async ({ onion }, _, stack) => [await makeLabRoute("lab_route", built(onion), stack)],
  },
  {
    name: "raw_pair",
    kind: "lab floor",
    grows: true,
    make: async ({ floor, onion }, _, stack) => [
      await makeRawFloor("raw_pair", floor.rawPair, built(onion), stack),
    ],
  },
  stageEntry({ name: "stage3", stage: 3, options: [] }, true),
  ...[1, 3, 6].map((routers) =>
    stageEntry({ name: `routers_${routers}`, stage: 4, options: ["--routers", `${routers}`] }, false)
  ),
  ...circuitEntries("plain", 5),
  ...circuitEntries("sealed", 6),
  {
    name: "wireguard_go",
    kind: "peer",
    grows: false,
    make: async (_, __, stack) => [await makeWireguard("wireguard_go", stack)],
  },
  {
    name: "tor",
    kind: "peer",
    grows: false,
    make: async (_, __, stack) => [await makeTor("tor", AS_SHIPPED, stack)],
  },
  {
    name: "tor_tuned",
    kind: "peer",
    grows: false,
    make: async (_, __, stack) => [await makeTor("tor_tuned", TUNED, stack)],
  },
];

/** Every name, in the order of the table. */
export const NAMES: readonly string[] = ROSTER.map(({ name }) => name);

/** Those that are `onion` itself. */
export const OURS: readonly string[] = namesOf(({ kind }) => kind === "ours");

/** Those that need `onion` to be built. */
export const ONION_NEEDED: readonly string[] = namesOf(({ kind }) => kind === "ours" || kind === "lab floor");

/** Those that are peers. */
export const PEER_NAMES: readonly string[] = namesOf(({ kind }) => kind === "peer");

/** Those that take part in `--growth`. */
export const GROWING: readonly string[] = namesOf(({ grows }) => grows);

function namesOf(filter: (entry: Entry) => boolean): string[] {
  return ROSTER.filter(filter).map(({ name }) => name);
}

/**
 * Makes the contenders called `names`, in the order of the table. `stack` removes what they need.
 */
export async function makeContenders(
  names: readonly string[],
  executables: Executables,
  purpose: Purpose,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const entry of ROSTER) {
    signal.throwIfAborted();
    if (names.includes(entry.name)) contenders.push(...await entry.make(executables, purpose, stack));
  }
  return contenders;
}

/** Circuits of one, two and three hops, e.g. `sealed_3`, with one router more than hops. */
function circuitEntries(name: string, stage: 5 | 6): Entry[] {
  return [1, 2, 3].map((hops) => {
    const options = ["--routers", `${hops + 1}`, "--hops", `${hops}`];
    return stageEntry({ name: `${name}_${hops}`, stage, options }, name === "sealed" && hops === 3);
  });
}

function stageEntry(setting: Pick<StageSetting, "name" | "stage" | "options">, grows: boolean): Entry {
  const { name } = setting;
  return {
    name,
    kind: "ours",
    grows,
    make: async ({ onion: path, before }, { wide }, stack) => {
      const onion = built(path);
      const now = { ...setting, wide, onion, labOnion: onion, mayFail: false };
      if (before === undefined) return [await makeStage(now, stack)];
      const old = `${name}@${before.commit}`;
      return [
        await makeStage({ ...now, before: old }, stack),
        // That revision may not know a stage or an option yet.
        await makeStage({ ...now, name: old, onion: before.onion, mayFail: true }, stack),
      ];
    },
  };
}

function built(onion: string | undefined): string {
  if (onion === undefined) throw new TypeError("a contender needs onion, but it was not built");
  return onion;
}
