/**
 * The option table. It drives the command line's parser, the config file, help, man page and
 * completion.
 *
 * To add an option, add an entry here and a field to {@linkcode Settings}.
 *
 * @module
 */
import { isBuilt } from "../circuit/kind.ts";
import { ConfigError } from "../errors.ts";
import { readAddress, readBlocks, readExits, readHost, readInterface } from "./network_values.ts";
import { LOG_LEVELS, PLACEMENTS, type Settings } from "./settings.ts";
import { LAST_STAGE, type Range, type Stage, STAGES } from "./stages.ts";
import { type Given, readCount, readDirectory, readNumber, readWord, show, wholeNumber } from "./values.ts";

/** How an option is explained. {@linkcode flagOf} makes its flag from its name in the table. */
export interface Flag {
  /** A short name, e.g. `-n`. */
  readonly short?: `-${string}`;
  /** Placeholder for its value in the help. A switch has none. */
  readonly metavar?: string;
  /** Meaning, in one line of help. */
  readonly help: string;
  /** Default as on the command line, perhaps by stage. Without it, the value is undefined. */
  readonly default?: string | ((before: Before) => string);
  readonly offers?: Offers;
  /** Whether the option has an effect in a stage. Without it, it has one in every stage. */
  readonly meantFor?: (stage: Stage) => boolean;
}

/** What a shell offers for a value: fixed words, path names, or parties of the practice network. */
export type Offers = readonly string[] | "files" | "directories" | "parties";

/** One option of a run. */
export interface Option<T> extends Flag {
  /** @throws {ConfigError} if the value is invalid */
  readonly read: (given: Given, before: Before) => T;
}

/** Values of the options that precede one in the table. The stage is the first. */
export type Before = Pick<Settings, "stage"> & Partial<Settings>;

/** Name of an option of a run. */
export type RunOption = keyof Settings;

/** Options as the user wrote them, not validated yet. */
export type RawOptions = { readonly [Name in RunOption]?: Given };

const carriesPackets = (stage: Stage) => stage.traffic;
const buildsCircuits = (stage: Stage) => isBuilt(stage.circuits);
const captures = (stage: Stage) => stage.captures;
const restarts = (stage: Stage) => stage.restarts;

/** An option without a value. If given, its text is `yes`. */
function toggle(help: string, meantFor: (stage: Stage) => boolean = () => true): Option<boolean> {
  return { help, meantFor, default: "no", read: ({ text }) => text === "yes" };
}

/** The options of a run, in the order of the help. */
export const FLAGS: { readonly [Name in RunOption]: Option<Settings[Name]> } = {
  stage: {
    metavar: "N",
    help: "stage to run",
    offers: STAGES.map((stage) => `${stage.number}`),
    read({ text, at }) {
      const number = wholeNumber(text);
      const stage = STAGES.find((each) => each.number === number);
      if (stage !== undefined) return stage;
      if (number >= 1 && number <= LAST_STAGE) {
        throw new ConfigError(`${at}stage ${number} is not in this version`, `it runs ${stageList(STAGES)}`);
      }
      throw new ConfigError(`${at}there is no stage ${show(text)}`, `stages go from 1 to ${LAST_STAGE}`);
    },
  },
  routers: {
    metavar: "N",
    help: "number of routers to start",
    default: ({ stage }) => `${stage.routers.default}`,
    read: (given, { stage }) => readCount(given, stage.routers, `stage ${stage.number} has`, "router"),
  },
  hops: {
    metavar: "H",
    help: "number of routers on a packet's path; where circuits are built, fewer than there are routers",
    default: (before) => `${Math.min(before.stage.hops.default, hopRange(before).max)}`,
    meantFor: carriesPackets,
    read(given, before) {
      const { stage, routers } = before;
      const range = hopRange(before);
      const limited = range.max < stage.hops.max ? ` with ${routers} routers` : "";
      return readCount(given, range, `stage ${stage.number}${limited} has`, "hop");
    },
  },
  circuitLifetime: {
    metavar: "SECONDS",
    help: "lifetime of a circuit; its replacement is ready before it ends",
    default: "600",
    meantFor: buildsCircuits,
    // Ten seconds leave time to build a circuit and its replacement. The maximum is a week.
    read: (given) => readNumber(given, { min: 10, max: 604_800 }),
  },
  linkMtu: {
    metavar: "BYTES",
    help: "largest IP packet between neighbours; a TUN interface that onion creates gets its MTU from it",
    default: "65535",
    meantFor: carriesPackets,
    // Every IPv6 link carries 1280 bytes (RFC 8200 §5), which leaves room for every layer. The
    // maximum is what an IPv4 length field can express.
    read: (given) => readNumber(given, { min: 1280, max: 65_535 }),
  },
  tun: {
    metavar: "NAME",
    help: "TUN interface; onion uses an existing one and keeps it, or creates one and removes it at the end",
    default: "tun1",
    meantFor: carriesPackets,
    read: readInterface,
  },
  address: {
    metavar: "CIDR",
    help: "address of the TUN interface, with the block behind it",
    default: "10.5.51.2/24",
    meantFor: carriesPackets,
    read: readAddress,
  },
  from: {
    metavar: "IP",
    help: "capture packets from this source; unless given, the address of the default route's interface",
    meantFor: captures,
    read: readHost,
  },
  capture: {
    metavar: "CIDR,…",
    help: "destinations that go into the tunnel",
    default: "18.0.0.0/8,128.0.0.0/8",
    meantFor: captures,
    read: readBlocks,
  },
  table: {
    metavar: "N",
    help: "routing table for captured packets",
    default: "9",
    meantFor: captures,
    // 253 to 255 are the kernel's: default, main and local.
    read: (given) => readNumber(given, { min: 1, max: 252 }),
  },
  priority: {
    metavar: "N",
    help: "priority of the rule that selects that table, after those for the routers; " +
      "unless given, lower where other rules would come first",
    default: "8",
    meantFor: captures,
    // Between the kernel's rules for local (0) and main (32766), with room for one before it.
    read: (given) => readNumber(given, { min: 2, max: 32_765 }),
  },
  exit: {
    metavar: "IF[@GATEWAY],…",
    help:
      "exit interfaces: router i uses the i-th; unless given, eth1, eth2, … where they exist, else the default route's interface",
    meantFor: captures,
    read: readExits,
  },
  printCommands: toggle("print the ip and nft commands of this run, and change nothing", captures),
  placement: {
    metavar: "WHERE",
    help:
      "auto: packet threads share a processor while packets come one at a time; free: the kernel places them",
    default: "auto",
    offers: PLACEMENTS,
    meantFor: carriesPackets,
    read: (given) => readWord(given, PLACEMENTS, "placement"),
  },
  latency: {
    metavar: "MS",
    help: "delay every cell by this time, as if the routers were far away",
    default: "0",
    meantFor: carriesPackets,
    read: (given) => readNumber(given, { min: 0, max: 2000 }),
  },
  pcap: {
    metavar: "DIR",
    help: "write pcapng files there: the packets on each link, and what each party sees of them",
    offers: "directories",
    meantFor: carriesPackets,
    read: readDirectory,
  },
  noRestart: toggle("end the run when a router dies, and do not restart the router", restarts),
  logDir: {
    metavar: "DIR",
    help: "directory of the log files, stageN.proxy.out and stageN.routerI.out",
    default: ".",
    offers: "directories",
    read: readDirectory,
  },
  logLevel: {
    metavar: "LEVEL",
    help: `level of the diagnostics on stderr: ${LOG_LEVELS.join(", ")}`,
    default: "info",
    offers: LOG_LEVELS,
    read: (given) => readWord(given, LOG_LEVELS, "level"),
  },
  noPacketLog: toggle("write no log lines for single packets", carriesPackets),
  json: toggle("print events as JSON lines on stdout"),
};

/** Range of hops. The routers of a path are distinct, and a path leaves one router out. */
function hopRange({ stage, routers }: Before): Range {
  const { min, max } = stage.hops;
  return { min, max: buildsCircuits(stage) ? Math.min(max, (routers ?? max + 1) - 1) : max };
}

/** The flag of an option: `logDir` is `--log-dir` on the command line. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Stages in words: `stage 1`, `stages 1 and 2`, `stages 1, 2 and 3`. */
export function stageList(stages: readonly Stage[]): string {
  const numbers = new Intl.ListFormat("en-GB").format(stages.map(({ number }) => `${number}`));
  return stages.length === 1 ? `stage ${numbers}` : `stages ${numbers}`;
}
