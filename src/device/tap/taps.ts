/**
 * The capture files of one member of a network:
 *
 * ```
 *   tunnel.pcapng             the proxy: packets of the TUN interface
 *   proxy-router1.pcapng      a link: its cells, both ways; the end with the lower number writes it
 *   router1.inside.pcapng     a router: the contents of cells, without its own layer
 *   router1.world.pcapng      a router: packets of its raw ICMP socket, both ways
 * ```
 *
 * @module
 */
import type { IcmpSocket } from "../../exit/raw_icmp/core.ts";
import type { Link } from "../link.ts";
import type { Tap } from "../../trace/trace.ts";
import type { Tun } from "../tun.ts";
import { tapInside, TapLink, TapSocket, TapTun } from "./devices.ts";
import { type Party, partyAddress, partyName } from "./party.ts";
import { RecorderFile } from "./recorder.ts";
import type { IpAddress } from "../../ip/address.ts";

/** The options of captures. */
export interface TapOptions {
  /** An existing directory. */
  readonly directory: string;
  /** The program and its version. */
  readonly application: string;
  /** Whether the files of an earlier process of this member go on. */
  readonly continues: boolean;
  /** This member, and the port of its data link. */
  readonly self: { readonly party: Party; readonly port: number };
  /** The neighbours, in the order of the link. */
  readonly neighbours: readonly { readonly party: Party; readonly port: number }[];
}

/** The capture files of one member, and the devices that write them. */
export class Taps implements Disposable {
  readonly #options: TapOptions;
  readonly #now: () => number;
  readonly #failed: (reason: string) => void;
  readonly #files = new DisposableStack();

  /**
   * Captures without a file yet.
   *
   * @param now returns the time in ms since the Unix epoch
   * @param failed called with a sentence when a file cannot be written
   */
  constructor(options: TapOptions, now: () => number, failed: (reason: string) => void) {
    this.#options = options;
    this.#now = now;
    this.#failed = failed;
  }

  /** Records the cells of a link. */
  link(inner: Link): Link {
    const { self, neighbours } = this.#options;
    const tapped = neighbours.map(({ party, port }) => ({
      end: { address: partyAddress(party), port },
      recorder: self.party < party
        ? this.#open(linkName(self.party, party), "cells", [self.party, party])
        : undefined,
    }));
    return new TapLink(inner, { address: partyAddress(self.party), port: self.port }, tapped);
  }

  /** Records the packets of a TUN interface. */
  tun(inner: Tun): Tun {
    return new TapTun(inner, this.#open("tunnel", "packets between the host and the proxy", []));
  }

  /** Records the packets of a raw ICMP socket that is bound to `address`. */
  socket(inner: IcmpSocket, address: IpAddress): IcmpSocket {
    const name = partyName(this.#options.self.party);
    const recorder = this.#open(`${name}.world`, `packets between ${name} and the world`, []);
    return new TapSocket(inner, address, recorder);
  }

  /** Records the contents of cells inside this router. */
  inside(): Tap {
    const { party } = this.#options.self;
    const name = partyName(party);
    const recorder = this.#open(`${name}.inside`, `contents of cells, without the layer of ${name}`, [party]);
    return tapInside(recorder, partyAddress(party));
  }

  /** Closes the files. */
  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
  }

  #open(name: string, description: string, parties: readonly Party[]): RecorderFile {
    const path = `${this.#options.directory}/${name}.pcapng`;
    return this.#files.use(
      new RecorderFile(path, this.#options, description, parties, this.#now, this.#failed),
    );
  }
}

/** The name of the link between two members. */
export function linkName(one: Party, other: Party): string {
  return [one, other].toSorted((a, b) => a - b).map(partyName).join("-");
}
