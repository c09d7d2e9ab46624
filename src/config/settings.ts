/**
 * Settings: what one run does, validated and frozen. Made from flags or from a classic config file, never changed.
 *
 * @module
 */
import type { Stage } from "./stages.ts";

/** An IPv4 block: the address as an unsigned 32-bit number in host order, and the prefix length, 0 to 32. */
export interface Cidr {
  readonly address: number;
  readonly prefix: number;
}

/** How much the diagnostics on stderr say. */
export type LogLevel = "debug" | "info" | "warning" | "error" | "off";

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
