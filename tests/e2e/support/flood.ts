/**
 * Traffic that never pauses.
 *
 * @module
 */
import { Text } from "./onion.ts";
import { Address, type Vm } from "./vm.ts";

/** Pings through the tunnel as fast as replies come, until the end of its block. */
export class Flood implements AsyncDisposable {
  readonly #ping: Deno.ChildProcess;
  readonly #printed: Text;

  private constructor(ping: Deno.ChildProcess) {
    this.#ping = ping;
    this.#printed = new Text(ping.stdout);
  }

  /** Starts it and waits for the first replies. */
  static async start(vm: Vm): Promise<Flood> {
    const flood = ["ping", "-n", "-i", "0", "-w", "20", "-I", Address.vm, Address.csail];
    const [program, ...args] = [...vm.lab.inside("vm"), "stdbuf", "-oL", ...flood];
    const ping = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "null" }).spawn();
    const started = new Flood(ping);
    await started.#printed.find(/icmp_seq=50 /);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ping.kill("SIGINT");
    await Promise.all([this.#ping.status, this.#printed.whole]);
  }
}
