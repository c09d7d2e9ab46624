/**
 * Settings: what one run does, validated and frozen. Made from flags or from a classic config file, never changed.
 *
 * @module
 */
import type { Cidr } from "../wire/cidr.ts";
import type { Stage } from "./stages.ts";

export type { Cidr } from "../wire/cidr.ts";

/** How much the diagnostics on stderr may say, from most to nothing. */
export const LOG_LEVELS = ["debug", "info", "warning", "error", "off"] as const;

/** How much the diagnostics on stderr say. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One run, complete: no field is optional, every default has been filled in. */
export interface Settings {
  /** The profile of this run. */
  readonly stage: Stage;
  readonly routers: number;
  readonly hops: number;
  /** Name of the TUN interface, at most 15 bytes. */
  readonly tun: string;
  /** The TUN's own address and its block. */
  readonly address: Cidr;
  /** Directory of the classic log files. */
  readonly logDir: string;
  readonly logLevel: LogLevel;
  /** Events as JSON lines on stdout. */
  readonly json: boolean;
}
