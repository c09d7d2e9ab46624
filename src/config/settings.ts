/**
 * Settings: what one run does, validated and frozen. Made from flags or from a classic config file, never changed.
 *
 * @module
 */
import type { IpAddress } from "../ip/address.ts";
import type { Cidr } from "../ip/cidr.ts";
import type { Stage } from "./stages.ts";

export type { Cidr } from "../ip/cidr.ts";

/** How much the diagnostics on stderr may say, from most to nothing. */
export const LOG_LEVELS = ["debug", "info", "warning", "error", "off"] as const;

/** How much the diagnostics on stderr say. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where packet threads run: together on one processor while there is little to do; or wherever the kernel likes. */
export const PLACEMENTS = ["auto", "free"] as const;

/** One of {@linkcode PLACEMENTS}. */
export type PlacementKind = (typeof PLACEMENTS)[number];

/** An exit interface as it was asked for. */
export interface ExitChoice {
  readonly interface: string;
  /** Its gateway; found in the routing tables where it is undefined. */
  readonly gateway: IpAddress | undefined;
}

/** One run, complete: no field is optional, every default has been filled in. */
export interface Settings {
  /** The profile of this run. */
  readonly stage: Stage;
  readonly routers: number;
  readonly hops: number;
  /** Seconds that a circuit lives. */
  readonly circuitLifetime: number;
  /** Bytes of the longest IP packet between neighbours. */
  readonly linkMtu: number;
  /** Name of the TUN interface, at most 15 bytes. */
  readonly tun: string;
  /** The TUN's own address and its block. */
  readonly address: Cidr;
  /** Whose packets are captured; the address of the default route's interface where it is undefined. */
  readonly from: IpAddress | undefined;
  /** Which destinations go into the tunnel. */
  readonly capture: readonly Cidr[];
  /** The routing table that leads them there. */
  readonly table: number;
  /** The priority of the rule that leads to the table. */
  readonly priority: number;
  /** Where router i leaves by: the i-th; chosen from the host's interfaces where it is undefined. */
  readonly exit: readonly ExitChoice[] | undefined;
  /** Print what would be changed on the host, and change nothing. */
  readonly printCommands: boolean;
  /** Where the threads run that move packets. */
  readonly placement: PlacementKind;
  /** Milliseconds that every cell is held back before it is sent. */
  readonly latency: number;
  /** Directory of the capture files; none where it is undefined. */
  readonly pcap: string | undefined;
  /** Directory of the classic log files. */
  readonly logDir: string;
  readonly logLevel: LogLevel;
  /** Write no line, and print no event, for a single packet. */
  readonly noPacketLog: boolean;
  /** Events as JSON lines on stdout. */
  readonly json: boolean;
}
