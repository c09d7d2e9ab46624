/**
 * The option table. A run's flags, its config file, the help, the man page and the completion are all made from it,
 * so an option is added here, and as a field of {@linkcode Settings}, and nowhere else.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { LOG_LEVELS, PLACEMENTS, type Settings } from "./settings.ts";
import { LAST_STAGE, type Stage, STAGES } from "./stages.ts";
import {
  type Given,
  type Range,
  readAddress,
  readBlocks,
  readCount,
  readDirectory,
  readExits,
  readHost,
  readInterface,
  readNumber,
  readWord,
  show,
} from "./values.ts";

/** How an option is written and explained. */
export interface Flag {
  /** How it is written on the command line. */
  readonly flag: `--${string}`;
  /** The same with one letter. */
  readonly short?: `-${string}`;
  /** What stands for its value in the help; a switch has none. */
  readonly metavar?: string;
  /** What it means, for the help. */
  readonly help: string;
  /** What it is when nothing is said, as it would be written, perhaps made from the stage; left out, it is undefined. */
  readonly default?: string | ((stage: Stage, before: Before) => string);
  readonly offers?: Offers;
  /** Whether it means anything in a stage; it does in every one where this is left out. */
  readonly meantFor?: (stage: Stage) => boolean;
}

/** What a shell offers for a value: words, names of files or directories, the parties of the practice network. */
export type Offers = readonly string[] | "files" | "directories" | "parties";

/** Everything about one option of a run. */
export interface Option<T> extends Flag {
  /** @throws {ConfigError} if the value cannot be taken */
  readonly read: (given: Given, stage: Stage, before: Before) => T;
}

/** The values of the options that stand before one in the table. */
export type Before = Partial<Settings>;

/** The name of an option of a run. */
export type RunOption = keyof Settings;

/** What the user said, by option; nothing is checked yet. */
export type RawOptions = { readonly [Name in RunOption]?: Given };

/** `--stage`, which all other options depend on. */
export const STAGE: Omit<Option<Stage>, "read"> & { readonly read: (given: Given) => Stage } = {
  flag: "--stage",
  metavar: "N",
  help: "the stage to run",
  offers: STAGES.map((stage) => `${stage.number}`),
  read({ text, at }) {
    const number = /^\d+$/.test(text) ? Number(text) : NaN;
    const stage = STAGES.find((each) => each.number === number);
    if (stage !== undefined) return stage;
    if (number >= 1 && number <= LAST_STAGE) {
      throw new ConfigError(`${at}stage ${number} is not in this version`, `it runs ${stageList(STAGES)}`);
    }
    throw new ConfigError(`${at}there is no stage ${show(text)}`, `stages go from 1 to ${LAST_STAGE}`);
  },
};

const carriesPackets = (stage: Stage) => stage.traffic;
const buildsCircuits = (stage: Stage) => stage.circuits !== "given";
const captures = (stage: Stage) => stage.captures;

/** A flag without a value; what it was given as is `yes`. */
const readSwitch = (given: Given) => given.text === "yes";

/** The options of a run, in the order of the help. */
export const OPTIONS: { readonly [Name in Exclude<RunOption, "stage">]: Option<Settings[Name]> } = {
  routers: {
    flag: "--routers",
    metavar: "N",
    help: "how many routers to start",
    default: (stage) => `${stage.routers.default}`,
    read: (given, stage) => readCount(given, stage.routers, `stage ${stage.number} has`, "router"),
  },
  hops: {
    flag: "--hops",
    metavar: "H",
    help: "how many routers a packet passes; where circuits are built, fewer than there are",
    default: (stage, before) => `${Math.min(stage.hops.default, hopRange(stage, before).max)}`,
    meantFor: carriesPackets,
    read(given, stage, before) {
      const range = hopRange(stage, before);
      const has = range.max < stage.hops.max
        ? `stage ${stage.number} with ${before.routers} routers has`
        : `stage ${stage.number} has`;
      return readCount(given, range, has, "hop");
    },
  },
  circuitLifetime: {
    flag: "--circuit-lifetime",
    metavar: "SECONDS",
    help: "how long a circuit lives; it is replaced before it ends",
    default: "600",
    meantFor: buildsCircuits,
    // From what a build and its replacement need, to a week.
    read: (given) => readNumber(given, { min: 10, max: 604_800 }, "lifetimes"),
  },
  linkMtu: {
    flag: "--link-mtu",
    metavar: "BYTES",
    help: "the longest IP packet between neighbours; the MTU of a TUN interface that is made follows from it",
    default: "65535",
    meantFor: carriesPackets,
    // From what every IPv6 link takes (RFC 8200 §5), with room for every layer, to what an IPv4 length field holds.
    read: (given) => readNumber(given, { min: 1280, max: 65_535 }, "MTUs"),
  },
  tun: {
    flag: "--tun",
    metavar: "NAME",
    help: "the TUN interface: used and left behind if it exists, else made and taken away",
    default: "tun1",
    meantFor: carriesPackets,
    read: readInterface,
  },
  address: {
    flag: "--address",
    metavar: "CIDR",
    help: "the address of the TUN interface, and the block behind it",
    default: "10.5.51.2/24",
    meantFor: carriesPackets,
    read: readAddress,
  },
  from: {
    flag: "--from",
    metavar: "IP",
    help: "whose packets are captured; unless given, the address of the default route's interface",
    meantFor: captures,
    read: readHost,
  },
  capture: {
    flag: "--capture",
    metavar: "CIDR,…",
    help: "which destinations go into the tunnel",
    default: "18.0.0.0/8,128.0.0.0/8",
    meantFor: captures,
    read: readBlocks,
  },
  table: {
    flag: "--table",
    metavar: "N",
    help: "the routing table that leads into the tunnel",
    default: "9",
    meantFor: captures,
    // 253 to 255 are the kernel's: default, main and local.
    read: (given) => readNumber(given, { min: 1, max: 252 }, "tables of one's own"),
  },
  priority: {
    flag: "--priority",
    metavar: "N",
    help: "the priority of the rule that leads to the table; the routers' own rules come just before it",
    default: "8",
    meantFor: captures,
    // Between the rules for the tables local, 0, and main, 32766, and with room for one before it.
    read: (given) => readNumber(given, { min: 2, max: 32_765 }, "priorities"),
  },
  exit: {
    flag: "--exit",
    metavar: "IF[@GATEWAY],…",
    help:
      "router i leaves by the i-th; unless given, eth1, eth2, … where they exist, else the default route's interface",
    meantFor: captures,
    read: readExits,
  },
  printCommands: {
    flag: "--print-commands",
    help: "print the ip and nft commands that a run would make, and make none",
    default: "no",
    meantFor: captures,
    read: readSwitch,
  },
  placement: {
    flag: "--placement",
    metavar: "WHERE",
    help:
      "auto: the threads that move packets share a processor while packets come one at a time; free: the kernel decides",
    default: "auto",
    offers: PLACEMENTS,
    meantFor: carriesPackets,
    read: (given) => readWord(given, PLACEMENTS, "placement"),
  },
  latency: {
    flag: "--latency",
    metavar: "MS",
    help: "hold every cell back for so long before it is sent, as if the routers were far away",
    default: "0",
    meantFor: carriesPackets,
    read: (given) => readNumber(given, { min: 0, max: 2000 }, "latencies"),
  },
  pcap: {
    flag: "--pcap",
    metavar: "DIR",
    help: "write what passes each link, and what each party sees, to pcapng files there",
    offers: "directories",
    meantFor: carriesPackets,
    read: readDirectory,
  },
  logDir: {
    flag: "--log-dir",
    metavar: "DIR",
    help: "where stageN.proxy.out and stageN.routerI.out go",
    default: ".",
    offers: "directories",
    read: readDirectory,
  },
  logLevel: {
    flag: "--log-level",
    metavar: "LEVEL",
    help: `how much to say on stderr: ${LOG_LEVELS.join(", ")}`,
    default: "info",
    offers: LOG_LEVELS,
    read: (given) => readWord(given, LOG_LEVELS, "level"),
  },
  noPacketLog: {
    flag: "--no-packet-log",
    help: "write no line for each packet",
    default: "no",
    meantFor: carriesPackets,
    read: readSwitch,
  },
  json: {
    flag: "--json",
    help: "print events as JSON lines on stdout",
    default: "no",
    read: readSwitch,
  },
};

/** How many hops a stage may have with so many routers: a path has distinct ones, and leaves one out. */
function hopRange(stage: Stage, { routers }: Before): Range {
  const { min, max } = stage.hops;
  return { min, max: buildsCircuits(stage) ? Math.min(max, (routers ?? max + 1) - 1) : max };
}

/** Every flag there is, by the name of its option. */
export const FLAGS = { stage: STAGE, ...OPTIONS };

/** Stages in words: `stage 1`, `stages 1 and 2`, `stages 1, 2 and 3`. */
export function stageList(stages: readonly Stage[]): string {
  const numbers = stages.map((stage) => `${stage.number}`);
  const last = numbers.pop();
  return numbers.length === 0 ? `stage ${last}` : `stages ${numbers.join(", ")} and ${last}`;
}
