/**
 * Captures as `--pcap` writes them, made by hand: a circuit is built and pings pass it. Sealed
 * contents have the right length only.
 *
 * @module
 */
import type { Stage } from "../../src/config/stages.ts";
import { LinkType } from "../../src/pcap/format.ts";
import { PcapngWriter } from "../../src/pcap/pcapng.ts";
import { type PcapngItem, readPcapng } from "../../src/pcap/pcapng_reader.ts";
import { udpFrame } from "../../src/pcap/udp_frame.ts";
import { Note, SEALED_PROTOCOL } from "../../src/device/tap/devices.ts";
import { type Party, partyAddress, partyName, partyNames } from "../../src/device/tap/party.ts";
import { linkName } from "../../src/device/tap/taps.ts";
import { cell, concat, echo, ipv4, pattern } from "./packets.ts";

/** Bytes that a layer adds. */
const LAYER = 24;

/** Bytes of a handshake message. */
const HANDSHAKE = 48;

/** The client and the host. */
const CLIENT = "10.0.2.15", HOST = "128.30.2.155";

/** One ping. */
interface Ping {
  readonly sequence: number;
  /** Where it gets lost, or its result; a reply unless given. */
  readonly end?: "lost on the first link" | "lost in the world" | "time exceeded";
}

/** What a run has recorded so far. */
export class Captures {
  readonly #path: readonly Party[];
  readonly #circuits: Stage["circuits"];
  readonly #files = new Map<string, { readonly writer: PcapngWriter; readonly parts: Uint8Array[] }>();
  /** Milliseconds since the Unix epoch; each record is one later. */
  #now = 1_700_000_000_000;
  /** Changes with each sealed body, so that all differ. */
  #seed = 0;

  /** @param path the routers that packets pass */
  constructor(circuits: Stage["circuits"], path: readonly Party[]) {
    this.#circuits = circuits;
    this.#path = path;
  }

  /** The files by name, in the order of their first records. */
  files(): [name: string, bytes: Uint8Array<ArrayBuffer>][] {
    return [...this.#files].map(([name, { parts }]) => [name, concat(...parts)]);
  }

  /** The contents of all files, in the order of their first records, or reversed. */
  items(reversed = false): PcapngItem[] {
    const files = this.files();
    return (reversed ? files.reverse() : files).flatMap(([, file]) => [...readPcapng(file)]);
  }

  /** A packet in the tunnel. */
  tunnel(note: string, packet: Uint8Array): void {
    this.#record("tunnel", [], packet, note);
  }

  /** A packet that a router sends to the world or receives from it. */
  world(router: Party, note: string, packet: Uint8Array): void {
    this.#record(`${partyName(router)}.world`, [], packet, note);
  }

  /** What a router sees after removing its layer. */
  inside(router: Party, note: string, contents: Uint8Array): void {
    this.#record(`${partyName(router)}.inside`, [router], contents, note);
  }

  /** A datagram on a link. */
  link(from: Party, to: Party, datagram: Uint8Array): void {
    const [one, other] = [from, to].map((party) => ({ address: partyAddress(party), port: 5000 + party }));
    this.#record(linkName(from, to), [from, to], udpFrame(one!, other!, datagram), "");
  }

  /** Records the building of the circuit. */
  build(): void {
    const isSealed = this.#circuits === "sealed";
    const types = isSealed ? [0x65, 0x65, 0x62, 0x63] as const : [0x52, 0x53, 0x52, 0x53] as const;
    const [begin, begun, extend, extended] = types;
    const handshake = () => isSealed ? this.#sealed(HANDSHAKE) : new Uint8Array();
    this.#path.forEach((router, hop) => {
      for (let on = 0; on < hop; on++) {
        const place = Uint8Array.of(127, 0, 0, 1, 5000 + router >>> 8, 5000 + router & 0xff);
        this.#hop(on, extend, isSealed ? this.#sealed(6 + HANDSHAKE + (hop - on) * LAYER) : place);
      }
      this.#hop(hop, begin, handshake());
      this.#hop(hop, begun, handshake(), true);
      for (let on = hop - 1; on >= 0; on--) {
        const answer = isSealed ? this.#sealed(HANDSHAKE + (hop - on) * LAYER) : new Uint8Array();
        this.#hop(on, extended, answer, true);
      }
    });
  }

  /**
   * Records concurrent pings: all leave before the first answer comes.
   */
  ping(...pings: readonly Ping[]): void {
    for (const ping of pings) this.#out(ping);
    for (const ping of pings) if (!ping.end?.startsWith("lost")) this.#back(ping);
  }

  #out({ sequence, end }: Ping): void {
    const asked = (source: string) => ipv4({ source, destination: HOST }, echo({ sequence }));
    this.tunnel(Note.fromHost, asked(CLIENT));
    if (end === "lost on the first link") {
      const body = asked("0.0.0.0");
      return this.#hop(0, 0x61, this.#sealed(body.length + this.#path.length * LAYER));
    }
    this.#path.forEach((router, hop) => {
      if (this.#circuits === "sealed") {
        const body = asked("0.0.0.0");
        const layers = this.#path.length - hop;
        this.#hop(hop, 0x61, this.#sealed(body.length + layers * LAYER));
        this.#look(router, Note.wayOut, layers === 1 ? body : this.#stillSealed(body, layers - 1));
      } else {
        const body = asked(hop === 0 ? CLIENT : exitAddress(this.#path[hop - 1]!));
        this.#hop(hop, 0x51, body);
        this.#look(router, Note.wayOut, body);
      }
    });
    const exit = this.#path.at(-1)!;
    this.world(exit, Note.intoWorld, asked(exitAddress(exit)));
  }

  #back({ sequence, end }: Ping): void {
    const answer = (destination: string) => {
      if (end === undefined) {
        return ipv4({ source: HOST, destination }, echo({ type: 0, sequence }));
      }
      return ipv4({ source: "203.0.113.2", destination }, echo({ type: 11, id: 0, sequence: 0 }));
    };
    const exit = this.#path.at(-1)!;
    this.world(exit, Note.fromWorld, answer(exitAddress(exit)));
    for (let hop = this.#path.length - 1; hop >= 0; hop--) {
      const router = this.#path[hop]!;
      const layers = this.#path.length - hop;
      if (this.#circuits === "sealed") {
        const body = answer("0.0.0.0");
        this.#look(router, Note.wayBack, layers === 1 ? body : this.#stillSealed(body, layers - 1));
        this.#hop(hop, 0x64, this.#sealed(body.length + layers * LAYER), true);
      } else {
        const body = answer(hop === 0 ? CLIENT : exitAddress(this.#path[hop - 1]!));
        this.#look(router, Note.wayBack, body);
        this.#hop(hop, 0x54, body, true);
      }
    }
    this.tunnel(Note.toHost, answer(CLIENT));
  }

  /** A cell to this hop, or from it towards the proxy. */
  #hop(hop: number, type: number, body: Uint8Array, isBack = false): void {
    const [near, far] = [hop === 0 ? 0 : this.#path[hop - 1]!, this.#path[hop]!];
    const [from, to] = isBack ? [far, near] : [near, far];
    this.link(from, to, cell(type, 0x100 * near + 1, body));
  }

  #look(router: Party, way: string, contents: Uint8Array): void {
    this.inside(router, `${way}, circuit 0x01`, contents);
  }

  /** A packet inside the given number of layers. */
  #stillSealed(packet: Uint8Array, layers: number): Uint8Array {
    return ipv4({ protocol: SEALED_PROTOCOL }, this.#sealed(packet.length + layers * LAYER));
  }

  #sealed(length: number): Uint8Array {
    return pattern(length, ++this.#seed);
  }

  #record(file: string, parties: readonly Party[], packet: Uint8Array, note: string): void {
    let begun = this.#files.get(file);
    if (begun === undefined) {
      const writer = new PcapngWriter({
        application: "test",
        interfaces: [{ linkType: LinkType.ipv4, name: file }],
        names: partyNames(parties),
      });
      begun = { writer, parts: [writer.header()] };
      this.#files.set(file, begun);
    }
    begun.parts.push(begun.writer.packet(this.#now++, packet, note));
  }
}

/** The address that a router leaves by. */
function exitAddress(router: Party): string {
  return `192.168.20${router}.2`;
}

/** A ping in stage 2, which the router answers itself. */
export function answeredInside(sequence = 1): Captures {
  const captures = new Captures("direct", [1]);
  const request = ipv4({}, echo({ sequence }));
  const reply = ipv4({ source: "10.5.51.7", destination: "10.5.51.2" }, echo({ type: 0, sequence }));
  captures.tunnel(Note.fromHost, request);
  captures.link(0, 1, cell(0x51, 1, request));
  captures.inside(1, `${Note.wayOut}, circuit 0x01`, request);
  captures.inside(1, `${Note.wayBack}, circuit 0x01`, reply);
  captures.link(1, 0, cell(0x54, 1, reply));
  captures.tunnel(Note.toHost, reply);
  return captures;
}
