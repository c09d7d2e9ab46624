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
  /** Its alternative names (`ip link property`). */
  readonly otherNames?: readonly string[];
  /** `tun`, `tap`, `veth`, …; undefined for a network card. */
  readonly kind?: string;
  readonly isUp: boolean;
  /**
   * Whether its cable is plugged in. A TUN interface has a carrier while a program is attached to
   * it.
   */
  readonly hasCarrier: boolean;
  /** Whether the link has a single peer, so that it needs no gateway. */
  readonly isPointToPoint: boolean;
  readonly mtu: number;
  /** The best source addresses come first: global scope first, deprecated last. */
  readonly addresses: readonly Cidr[];
}

/** A policy routing rule. */
export interface Rule {
  readonly priority: number;
  /** Source address or block, or `all`. */
  readonly src: string;
  /** Destination block; undefined for all. */
  readonly to?: Cidr;
  readonly fwmark?: string;
  /** The table that it leads to; undefined for a rule that refuses. */
  readonly table?: number;
  /** Its other conditions, as `ip -json` names them: `iif`, `dst`, `not`, …; or `iif lo` */
  readonly others: readonly string[];
}

/** A route, or one next hop of a multipath route. */
export interface Route {
  readonly to: Cidr;
  readonly table: number;
  /** The interface that it leads to; undefined for a route that refuses. */
  readonly device?: string;
  /** Whether it refuses packets as administratively prohibited. */
  readonly prohibits?: true;
  /**
   * The next hop as `ip route` writes it, e.g. `via 10.0.2.2`; empty if the destination is on the
   * link.
   */
  readonly via: readonly string[];
  readonly gateway?: IpAddress;
  /** The source address that it prescribes. */
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
  /** The value of a sysctl; undefined if there is none of this name. */
  readonly sysctl: (name: string) => string | undefined;
  /**
   * The changes of other runs that are up, which will undo them: each with its run's process id.
   */
  readonly held: ReadonlyMap<string, number>;
  /** The changes that keep a dead run's capture closed. A run takes them over. */
  readonly closed: ReadonlySet<string>;
}
