/**
 * Upkeep: tells what to say and do when something changes on the host that a run needs. No I/O.
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
import type { Change } from "./plan/change.ts";
import type { HostState, Interface } from "./plan/state.ts";

/** What a run needs of the host while it is up. */
export interface Needs {
  /** The TUN interface first. */
  readonly links: readonly NeededLink[];
  /** The routes, whoever added them. */
  readonly routes: readonly Change[];
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
  /** The routes to put back. */
  readonly lost: readonly Change[];
}

/** What the operator knows about an interface. */
interface Known {
  is: "up" | "unplugged" | "down" | "gone";
  hasAddress: boolean;
  mtu: number | undefined;
}

/** Follows the host during a run. */
export class Upkeep {
  readonly #needs: Needs;
  readonly #known: Map<string, Known>;
  /** The routes that could not be put back, and were reported. */
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
        // The address of an exit may be on any interface.
        return this.#known.has(event.name) || this.#needs.links.some(({ address }) => address !== undefined);
      case "route":
      case "default route":
        return this.#needs.routes.some(({ route, now }) =>
          route?.table === event.table || (event.kind === "default route" && now !== undefined)
        );
      case "much":
        return true;
    }
  }

  /** Compares the host with what the run needs. */
  look(state: HostState): Look {
    const { interfaces, routes } = state;
    const [tun] = this.#needs.links;
    // The packet thread notices this too, and ends the run.
    if (!interfaces.some(({ name }) => name === tun?.name)) return { says: [], lost: [] };
    const says = this.#needs.links.flatMap((link) => {
      const is = interfaces.find(({ name }) => name === link.name);
      return [...this.#follow(link, is), ...this.#followAddress(link, interfaces)];
    });
    const wanted = this.#needs.routes.map((change) => change.now?.(state) ?? change);
    const lost = wanted.filter(({ route }) =>
      route !== undefined && !routes.some(route.is) &&
      (route.device === undefined || isUp(this.#known.get(route.device)?.is))
    );
    return { says, lost };
  }

  /** The messages about routes after trying to put them back. */
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

/** Whether an interface has its routes: also without a cable. */
function isUp(is: Known["is"] | undefined): boolean {
  return is === "up" || is === "unplugged";
}

function stateOf(is: Interface | undefined): Known["is"] {
  if (is === undefined) return "gone";
  if (!is.isUp) return "down";
  return is.hasCarrier ? "up" : "unplugged";
}

function warn(text: string): Say {
  return { level: "warn", text };
}
