/**
 * A network and a `/run` of the bench's own, for what would otherwise meet the host: the practice
 * network, whose namespaces have fixed names, and peers that keep sockets and files.
 *
 * ```
 *   bench ── nsenter ──► enclave: lo and an empty /run ── ip netns exec ──► namespaces that no one else sees
 * ```
 *
 * @module
 */
import { Place } from "./place.ts";
import { readPids } from "./netns.ts";

/**
 * Gives up the way out and the view of other namespaces, prints `ready`, and stays until its
 * standard input ends.
 */
const HOLD = `
  mount -n -t tmpfs tmpfs /run
  ip link set lo up
  echo ready
  exec cat
`;

/**
 * An enclave. Its namespaces and files exist only in its mount namespace, so they end with its last
 * process. The process that holds it ends with its standard input, and so with the bench, even
 * after SIGKILL.
 */
export class Enclave extends Place implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;

  private constructor(holder: Deno.ChildProcess) {
    super(["nsenter", "--target", `${holder.pid}`, "--mount", "--net", "--"]);
    this.#holder = holder;
  }

  /** Makes an enclave. */
  static async make(): Promise<Enclave> {
    const holder = new Deno.Command("unshare", {
      args: ["--mount", "--net", "sh", "-euc", HOLD],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
      // Keeps Ctrl+C away, because the bench still needs the enclave to clean up.
      detached: true,
    }).spawn();
    const enclave = new Enclave(holder);
    const said = await holder.stdout.pipeThrough(new TextDecoderStream()).values().next();
    if (said.value === "ready\n") return enclave;
    await enclave[Symbol.asyncDispose]();
    throw new Error("Cannot make a network and a /run of the bench's own with `unshare`");
  }

  /** Makes a network namespace in it with loopback up. */
  async makeNetns(name: string): Promise<Place> {
    await this.run(["ip", "netns", "add", name]);
    await this.run(["ip", "-n", name, "link", "set", "lo", "up"]);
    return this.netns(name);
  }

  /** A network namespace in it. */
  netns(name: string): Place {
    return new Place([...this.way, "ip", "netns", "exec", name]);
  }

  /** The processes in one of its network namespaces, numbered as on the host. */
  async pidsIn(netns: string): Promise<number[]> {
    return readPids(await this.run(["ip", "netns", "pids", netns]));
  }

  /** The path by which this process sees a file of the enclave, e.g. one under `/run`. */
  path(inside: string): string {
    return `/proc/${this.#holder.pid}/root${inside}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close().catch(() => {}); // it has ended already
    await this.#holder.status;
  }
}
