/**
 * The state of the host's network, as far as a plan depends on it.
 *
 * @module
 */
import type { IpAddress } from "../../ip/address.ts";
import type { Cidr } from "../../ip/cidr.ts";

/** An interface with its IPv4 addresses. */
export interface Interface {
  readonly name: string;
  /** `tun`, `tap`, `veth`, …; nothing for a card. */
  readonly kind?: string;
  readonly isUp: boolean;
  /** Whether its cable is in. That of a TUN interface is the program that has attached to it. */
  readonly hasCarrier: boolean;
  /** Whether there is but one at the other end, so that nothing is sent by a gateway. */
  readonly isPointToPoint: boolean;
  readonly mtu: number;
  /** Those that may be sent from anywhere come first, and those that are on their way out last. */
  readonly addresses: readonly Cidr[];
}

/** A policy routing rule. */
export interface Rule {
  readonly priority: number;
  /** Source address or block, or `all`. */
  readonly src: string;
  readonly fwmark?: string;
  /** Where it leads; nothing for a rule that refuses. */
  readonly table?: number;
  /** What else it goes by, as `ip -json` calls it: `iif`, `dst`, `not`, … */
  readonly others: readonly string[];
}

/** A route, or one of the ways of a route that has several. */
export interface Route {
  readonly to: Cidr;
  readonly table: number;
  /** Nothing for one that refuses. */
  readonly device?: string;
  /** Whether it refuses by saying that it is prohibited. */
  readonly prohibits?: true;
  /**
   * How `ip route` writes the way to the next hop, e.g. `via 10.0.2.2`; empty where everybody is on
   * the link.
   */
  readonly via: readonly string[];
  readonly gateway?: IpAddress;
  /** The source that it prescribes. */
  readonly source?: IpAddress;
  readonly metric: number;
}

/** The kernel's own tables (rt_tables). */
export const Table = { main: 254, local: 255 } as const;

/** The host's network. */
export interface HostState {
  readonly interfaces: readonly Interface[];
  readonly rules: readonly Rule[];
  readonly routes: readonly Route[];
  /** What a sysctl is set to. */
  readonly sysctl: (name: string) => string | undefined;
  /**
   * What other runs have changed that are still up, and will undo: the change, and the run's
   * process.
   */
  readonly held: ReadonlyMap<string, number>;
}
