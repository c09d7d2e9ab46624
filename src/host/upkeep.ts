/**
 * Upkeep: compares the host with what a run needs, and tells what to say and what to put back. What
 * is needed is the list of the plan's changes: addresses, rules, routes, sysctls, the firewall. No
 * I/O.
 *
 * ```
 *              its routes are gone,
 *              what is captured is refused
 *        ┌───┐ ──────────────► ┌──────┐
 *        │ up│                 │ down │
 *        └───┘ ◄────────────── └──────┘
 *              its routes are put back
 * ```
 *
 * @module
 */
import { formatIp, type IpAddress } from "../ip/address.ts";
import type { NetworkEvent } from "../sys/netlink.ts";
import type { Change, Kept } from "./plan/change.ts";
import { type HostState, type Interface, Table } from "./plan/state.ts";

/** What a run needs of the host while it is up. */
export interface Needs {
  /** The TUN interface first. */
  readonly links: readonly NeededLink[];
  /** What the run keeps as it is, whoever made it. */
  readonly kept: readonly KeptChange[];
  /** The address whose packets are captured; undefined in stages that capture nothing. */
  readonly from: IpAddress | undefined;
}

/** A change that the run keeps. */
export type KeptChange = Change & { readonly kept: Kept };

/** Whether the run keeps a change. */
export function isKept(change: Change): change is KeptChange {
  return change.kept !== undefined;
}

/** An interface that packets pass through. */
export interface NeededLink {
  readonly name: string;
  /** Its MTU in bytes when the run started, if the run relies on it. */
  readonly mtu?: number;
  /** The address that the run sends from, if it is one. It may be on another interface. */
  readonly address?: IpAddress;
  /** The consequence while it is down, e.g. `nothing is carried`. */
  readonly meanwhile: string;
}

/** A message to the operator. */
export interface Say {
  readonly level: "info" | "warn";
  readonly text: string;
}

/** The result of looking at the host. */
export interface Look {
  readonly says: readonly Say[];
  /** What to put back. */
  readonly lost: readonly KeptChange[];
}

/** What the operator knows about an interface. */
interface Known {
  is: "up" | "unplugged" | "down" | "gone";
  hasAddress: boolean;
  mtu: number | undefined;
}

/** Follows the host during a run. */
export class Upkeep {
  #needs: Needs;
  readonly #known: Map<string, Known>;
  /** Whether an interface had the captured address. */
  #hasFrom = true;
  /** What could not be put back, and was reported. */
  readonly #failed = new Set<string>();

  /** @param needs what the run needs; all of it is there and up at this moment */
  constructor(needs: Needs) {
    this.#needs = needs;
    this.#known = new Map(needs.links.map(({ name, mtu }) => [name, { is: "up", hasAddress: true, mtu }]));
  }

  /** Whether an event may mean that something needed is lost, or back. */
  concerns(event: NetworkEvent): boolean {
    switch (event.kind) {
      case "link": {
        const known = this.#known.get(event.name);
        return known !== undefined && (!event.isUp || !event.hasCarrier || known.is !== "up" ||
          (known.mtu !== undefined && known.mtu !== event.mtu));
      }
      case "address":
        // The captured address, or that of an exit, may come to another interface.
        return this.#known.has(event.name) || this.#needs.from !== undefined;
      case "route":
        return this.#needs.kept.some(({ kept }) => kept.table === event.table);
      case "default route":
        return (event.table === Table.main && !this.#hasFrom) ||
          this.#needs.kept.some(({ kept, now }) => kept.table === event.table || now !== undefined);
      case "rule":
        return this.#needs.kept.length > 0;
      case "much":
        return true;
    }
  }

  /**
   * Whether a sysctl that the run set has another value now, which no event reports.
   *
   * @param sysctl reads one
   */
  lacksSysctl(sysctl: HostState["sysctl"]): boolean {
    const host = {
      interfaces: [],
      rules: [],
      routes: [],
      held: new Map(),
      closed: new Set<string>(),
      sysctl,
    };
    return this.#needs.kept.some(({ make, kept, what }) =>
      make.kind === "set sysctl" && !this.#failed.has(what) && !kept.is(host, true)
    );
  }

  /** Whether the captured address has gone from the host. */
  lacksFrom({ interfaces }: HostState): boolean {
    const { from } = this.#needs;
    return from !== undefined &&
      !interfaces.some(({ addresses }) => addresses.some(({ address }) => address === from));
  }

  /**
   * Goes on with other needs, because packets from another address are captured now.
   *
   * @returns what the run no longer keeps, and what it says
   */
  follow(needs: Needs, host: HostState): { dropped: KeptChange[]; says: Say[] } {
    const [old, { from }] = [this.#needs, needs];
    this.#needs = { ...needs, links: old.links };
    this.#hasFrom = true;
    // What serves the new needs too stays, so that nothing is open meanwhile.
    const serves = (one: KeptChange) => (other: KeptChange) =>
      JSON.stringify(one.make) === JSON.stringify(other.make) ||
      (one.what === other.what && other.kept.is(host, false));
    const dropped = old.kept.filter((change) => !needs.kept.some(serves(change)));
    const text = `${formatIp(old.from!)} is gone: packets from ${formatIp(from!)} are captured now`;
    return { dropped, says: [warn(text)] };
  }

  /**
   * Compares the host with what the run needs.
   *
   * @param hasFirewall whether all of the run's firewall rules are there
   */
  look(host: HostState, hasFirewall = true): Look {
    const { interfaces } = host;
    const [tun] = this.#needs.links;
    // The packet thread notices this too, and ends the run.
    if (!interfaces.some(({ name }) => name === tun?.name)) return { says: [], lost: [] };
    const says = this.#needs.links.flatMap((link) => {
      const is = interfaces.find(({ name }) => name === link.name);
      return [...this.#follow(link, is), ...this.#followAddress(link, interfaces)];
    });
    says.push(...this.#followFrom(!this.lacksFrom(host)));
    const lost = this.#needs.kept.map((change) => change.now?.(host) ?? change).filter(isKept)
      .filter(({ kept }) =>
        !kept.is(host, hasFirewall) && (kept.device === undefined || isOn(kept.device, host))
      );
    return { says, lost };
  }

  /** The messages about what was lost, after trying to put it back. */
  told(tried: readonly { readonly what: string; readonly error?: string }[]): Say[] {
    const back = tried.filter(({ error }) => error === undefined).map(({ what }) => what);
    const failed = tried.filter(({ what, error }) => error !== undefined && !this.#failed.has(what));
    for (const what of back) this.#failed.delete(what);
    for (const { what } of failed) this.#failed.add(what);
    return [
      ...(back.length === 0 ? [] : [warn(`lost, and put back: ${back.join(", ")}`)]),
      ...failed.map(({ what, error }) => warn(`lost, and cannot be put back yet: ${what}: ${error}`)),
    ];
  }

  /** Where packets leave from an address, the interface's own state alone says too little. */
  #followAddress({ name, address, meanwhile }: NeededLink, interfaces: readonly Interface[]): Say[] {
    if (address === undefined) return [];
    const known = this.#known.get(name)!;
    const has = interfaces.some(({ addresses }) => addresses.some((own) => own.address === address));
    // An interface that is gone is reported as such.
    if (has === known.hasAddress || known.is === "gone") return [];
    known.hasAddress = has;
    const what = `the address ${formatIp(address)} of ${name} is`;
    return [
      has ? { level: "info", text: `${what} back` } : warn(`${what} gone: until it is back, ${meanwhile}`),
    ];
  }

  #followFrom(hasFrom: boolean): Say[] {
    const had = this.#hasFrom;
    this.#hasFrom = hasFrom;
    if (had === hasFrom) return [];
    const address = formatIp(this.#needs.from!);
    if (hasFrom) return [{ level: "info", text: `${address} is back` }];
    return [warn(`${address} is gone from this host: until it is back, what is captured is refused`)];
  }

  #follow(link: NeededLink, found: Interface | undefined): Say[] {
    const known = this.#known.get(link.name)!;
    const is = stateOf(found);
    const mtu = found?.mtu;
    const says: Say[] = [];
    if (is !== known.is) {
      says.push(
        is === "up"
          ? { level: "info", text: `${link.name} is up again` }
          : warn(`${link.name} is ${is}: until it is up again, ${link.meanwhile}`),
      );
    }
    if (mtu !== undefined && known.mtu !== undefined && mtu !== known.mtu) {
      const text = `the MTU of ${link.name} is ${mtu}`;
      says.push(
        mtu === link.mtu
          ? { level: "info", text: `${text} again` }
          : warn(`${text} now: this run goes on by the ${link.mtu} of its start`),
      );
    }
    known.is = is;
    if (known.mtu !== undefined) known.mtu = mtu ?? known.mtu;
    return says;
  }
}

/** Whether an interface can have routes: also without a cable. */
function isOn(device: string, { interfaces }: HostState): boolean {
  return interfaces.some(({ name, isUp }) => name === device && isUp);
}

function stateOf(is: Interface | undefined): Known["is"] {
  if (is === undefined) return "gone";
  if (!is.isUp) return "down";
  return is.hasCarrier ? "up" : "unplugged";
}

function warn(text: string): Say {
  return { level: "warn", text };
}
