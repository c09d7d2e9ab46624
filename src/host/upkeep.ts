/**
 * Upkeep: what a run needs of its host to stay as it is, and what is to be said and done where it
 * does not. No I/O.
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
import type { NetworkEvent } from "../sys/netlink.ts";
import type { Change } from "./plan/change.ts";
import type { HostState } from "./plan/state.ts";

/** What a run needs. */
export interface Needs {
  /** The TUN interface first. */
  readonly links: readonly NeededLink[];
  /** Routes, whoever has made them. */
  readonly routes: readonly Change[];
}

/** An interface that packets pass. */
export interface NeededLink {
  readonly name: string;
  /** Bytes of the longest packet that it took when the run started, and that the run goes by. */
  readonly mtu: number;
  /** What is so while it is down, e.g. `nothing is carried`. */
  readonly meanwhile: string;
}

/** Something for the operator to know. */
export interface Say {
  readonly level: "info" | "warn";
  readonly text: string;
}

/** What a look at the host has shown. */
export interface Look {
  readonly says: readonly Say[];
  /** Routes that are to be put back. */
  readonly lost: readonly Change[];
}

/** How it is, to the operator's knowledge. */
interface Known {
  is: "up" | "down" | "gone";
  mtu: number;
}

/** Follows the host through a run. */
export class Upkeep {
  readonly #needs: Needs;
  readonly #known: Map<string, Known>;
  /** What could not be put back, as far as that has been said. */
  readonly #failed = new Set<string>();

  /** @param needs as they are now: everything is there, and up */
  constructor(needs: Needs) {
    this.#needs = needs;
    this.#known = new Map(needs.links.map(({ name, mtu }) => [name, { is: "up", mtu }]));
  }

  /** Whether something that is needed may not be so any more, or again. */
  concerns(event: NetworkEvent): boolean {
    switch (event.kind) {
      case "link": {
        const known = this.#known.get(event.name);
        return known !== undefined && (!event.isUp || known.is !== "up" || known.mtu !== event.mtu);
      }
      case "address":
        return this.#known.has(event.name);
      case "route":
        return this.#needs.routes.some(({ route }) => route?.table === event.table);
      case "much":
        return true;
    }
  }

  /** Compares the host with what is needed. */
  look({ interfaces, routes }: HostState): Look {
    const [tun] = this.#needs.links;
    // The packet thread has noticed too, and ends the run.
    if (!interfaces.some(({ name }) => name === tun?.name)) return { says: [], lost: [] };
    const says = this.#needs.links.flatMap((link) => {
      const is = interfaces.find(({ name }) => name === link.name);
      return this.#follow(link, is === undefined ? "gone" : is.isUp ? "up" : "down", is?.mtu);
    });
    const lost = this.#needs.routes.filter(({ route }) =>
      route !== undefined && !routes.some(route.is) &&
      (route.device === undefined || this.#known.get(route.device)?.is === "up")
    );
    return { says, lost };
  }

  /** What there is to say of routes that were to be put back. */
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

  #follow(link: NeededLink, is: Known["is"], mtu: number | undefined): Say[] {
    const known = this.#known.get(link.name)!;
    const says: Say[] = [];
    if (is !== known.is) {
      says.push(
        is === "up"
          ? { level: "info", text: `${link.name} is up again` }
          : warn(`${link.name} is ${is}: until it is up again, ${link.meanwhile}`),
      );
    }
    if (mtu !== undefined && mtu !== known.mtu) {
      const text = `the MTU of ${link.name} is ${mtu}`;
      says.push(
        mtu === link.mtu
          ? { level: "info", text: `${text} again` }
          : warn(`${text} now: this run goes on by the ${link.mtu} of its start`),
      );
    }
    known.is = is;
    known.mtu = mtu ?? known.mtu;
    return says;
  }
}

function warn(text: string): Say {
  return { level: "warn", text };
}
