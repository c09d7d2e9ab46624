/**
 * Settings of one run, validated and frozen. They come from flags and from a classic config file.
 *
 * @module
 */
import type { IpAddress } from "../ip/address.ts";
import type { Cidr } from "../ip/cidr.ts";
import type { Stage } from "./stages.ts";

/** Levels of the diagnostics on stderr, from the most verbose to none. */
export const LOG_LEVELS = ["debug", "info", "warning", "error", "off"] as const;

/** One of {@linkcode LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where packet threads run: on one processor while load is low (`auto`), or anywhere. */
export const PLACEMENTS = ["auto", "free"] as const;

/** An exit interface as the user chose it. */
export interface ExitChoice {
  readonly interface: string;
  /** Its gateway. If undefined, the routing tables name it. */
  readonly gateway: IpAddress | undefined;
}

/** Settings of one run. No field is optional, because defaults are filled in. */
export interface Settings {
  /** The stage of this run. */
  readonly stage: Stage;
  readonly routers: number;
  readonly hops: number;
  /** Lifetime of a circuit, in seconds. */
  readonly circuitLifetime: number;
  /** Largest IP packet between neighbours, in bytes. */
  readonly linkMtu: number;
  /** Name of the TUN interface, at most 15 bytes. */
  readonly tun: string;
  /** Address of the TUN interface, and its block. */
  readonly address: Cidr;
  /** Source of captured packets. If undefined, the address of the default route's interface. */
  readonly from: IpAddress | undefined;
  /** Destinations that go into the tunnel. */
  readonly capture: readonly Cidr[];
  /** Routing table for captured packets. */
  readonly table: number;
  /** Priority of the rule that selects the table. */
  readonly priority: number;
  /** Exit interfaces: router i uses the i-th. If undefined, chosen from the host's interfaces. */
  readonly exit: readonly ExitChoice[] | undefined;
  /** Whether to print the changes to the host, and make none. */
  readonly printCommands: boolean;
  /** Where packet threads run. */
  readonly placement: (typeof PLACEMENTS)[number];
  /** Delay of every cell before it is sent, in ms. */
  readonly latency: number;
  /** Directory of the capture files. If undefined, none are written. */
  readonly pcap: string | undefined;
  /** Whether the end of a router is the end of the run. */
  readonly noRestart: boolean;
  /** Directory of the classic log files. */
  readonly logDir: string;
  readonly logLevel: LogLevel;
  /** Whether to leave single packets out of log files and events. */
  readonly noPacketLog: boolean;
  /** Whether to print events as JSON lines on stdout. */
  readonly json: boolean;
}
