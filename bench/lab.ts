/**
 * The practice network (`onion lab`) in an enclave, so that it meets neither the user's lab nor
 * another contender's.
 *
 * @module
 */
import { inside } from "../src/lab/exec.ts";
import { namespaceOf } from "../src/lab/plan.ts";
import { VM } from "../src/lab/topology.ts";
import { Enclave } from "./enclave.ts";
import { Place } from "./place.ts";

/** Addresses of the VM in the practice network; `src/lab/topology.ts` draws it. */
export const LabAddress = {
  /** On eth0. */
  vm: "10.0.2.15",
  /** On its first exit interface. */
  exit: "192.168.201.2",
} as const;

/**
 * The way to www.csail.mit.edu, behind a gateway and three routers, from an address that a tunnel
 * captures.
 */
export const LAB_HOST = { address: "128.30.2.155", source: LabAddress.vm, crowd: "128.30.8.1" } as const;

/** The block of the crowd, and the party that answers for it. */
const CROWD = { party: "csail", block: "128.30.8.0/21" } as const;

/** The practice network, up. Disposing of it removes it and everything that runs in it. */
export class Lab implements AsyncDisposable {
  /** The virtual machine that stages run in. */
  readonly vm: Place;
  readonly #enclave: Enclave;
  readonly #onion: string;

  private constructor(enclave: Enclave, onion: string) {
    this.#enclave = enclave;
    this.#onion = onion;
    this.vm = this.#party(VM);
  }

  /** Makes it with the executable `onion`. */
  static async up(onion: string): Promise<Lab> {
    const enclave = await Enclave.make();
    try {
      await enclave.run([onion, "lab", "up"]);
      const lab = new Lab(enclave, onion);
      // Adds more hosts than the lab has, for the growth with destinations. The routers lead there
      // already.
      await lab.#party(CROWD.party).run(["ip", "route", "add", "local", CROWD.block, "dev", "lo"]);
      return lab;
    } catch (error) {
      await enclave[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The processes in the virtual machine. */
  pids(): Promise<number[]> {
    return this.#enclave.pidsIn(namespaceOf(VM));
  }

  #party(name: string): Place {
    return new Place([...this.#enclave.way, ...inside(name, [])]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#enclave.run([this.#onion, "lab", "down"]);
    } finally {
      await this.#enclave[Symbol.asyncDispose]();
    }
  }
}
