/**
 * The practice network, for tests: on a machine of their own, so that they neither meet a lab of the user's, nor each
 * other, nor anything that leads out.
 *
 * ```
 *   test ── nsenter ──► machine: lo and an empty /run ── ip netns exec ──► vm, gw0, …, csail
 * ```
 *
 *     await using lab = await Lab.up();
 *     await lab.run("vm", "ping", "-c", "1", "www.csail.mit.edu");
 *     await using onion = await Onion.start(["--stage", "3"], { via: lab.inside("vm") });
 *
 * @module
 */
import assert from "node:assert/strict";
import { inside } from "../../../src/lab/exec.ts";
import { type Ended, ONION, run } from "./program.ts";

/** What a test in the lab needs of the machine it runs on. */
export const LAB_NEEDS = ["root", "namespaces", "nsenter", "ip", "nft"];

/**
 * Gives up the way out and the view of other namespaces, says `ready`, and stays until its standard input ends. What
 * others have mounted below /run would go from here, too, when they take it away.
 */
const HOLD = `
  cut -d ' ' -f 5 /proc/self/mountinfo | grep '^/run/' | sort -r | while read -r path; do
    umount -n -l "$path" || true
  done
  mount -n -t tmpfs tmpfs /run
  ip link set lo up
  echo ready
  exec cat
`;

/** A network and a `/run` of a test's own. Processes, files and programs are the host's. */
export class Machine implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;

  private constructor(holder: Deno.ChildProcess) {
    this.#holder = holder;
  }

  /** Makes one. */
  static async make(): Promise<Machine> {
    const holder = new Deno.Command("unshare", {
      args: ["--mount", "--net", "sh", "-euc", HOLD],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const said = await holder.stdout.pipeThrough(new TextDecoderStream()).values().next();
    assert.equal(said.value, "ready\n", "a machine of the test's own");
    return new Machine(holder);
  }

  /** Words to put before a command line, so that it runs on this machine as the same process, in the same directory. */
  get enter(): [string, ...string[]] {
    return ["nsenter", "--target", `${this.#holder.pid}`, "--mount", "--net", "--wd=.", "--"];
  }

  /** Starts a program on this machine. */
  spawn(command: readonly string[], options: Deno.CommandOptions = {}): Deno.ChildProcess {
    const [program, ...args] = [...this.enter, ...command] as const;
    return new Deno.Command(program, { stdin: "null", stdout: "piped", stderr: "piped", ...options, args })
      .spawn();
  }

  /** Runs a program on this machine to its end. */
  run(command: readonly string[], options?: Deno.CommandOptions): Promise<Ended> {
    const [program, ...args] = [...this.enter, ...command] as const;
    return run(program, args, options);
  }

  /** Runs `onion` on this machine to its end. */
  onion(...args: string[]): Promise<Ended> {
    return this.run([ONION, ...args]);
  }

  /** What changes to this machine could be seen by: its network, its firewall, its mounts, its `/run`, its `/etc`. */
  async snapshot(): Promise<Record<string, string>> {
    const views = {
      links: ["ip", "-details", "link"],
      addresses: ["ip", "address"],
      rules: ["ip", "rule"],
      routes: ["ip", "route", "show", "table", "all"],
      namespaces: ["ip", "netns"],
      firewall: ["nft", "list", "ruleset"],
      mounts: ["cat", "/proc/self/mountinfo"],
      run: ["find", "/run"],
      etc: ["find", "/etc", "-maxdepth", "1", "-printf", "%p %T@ %i\n"],
    };
    const seen = Object.entries(views).map(async ([name, command]) => {
      const { code, stdout, stderr } = await this.run(command);
      assert.equal(code, 0, stderr);
      return [name, stdout];
    });
    return Object.fromEntries(await Promise.all(seen));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close();
    await this.#holder.status;
  }
}

/** The practice network, up. At the end of its block it is down, with everything that ran in it. */
export class Lab implements AsyncDisposable {
  readonly machine: Machine;

  private constructor(machine: Machine) {
    this.machine = machine;
  }

  /**
   * Makes it.
   *
   * @param faults what is wrong with it, as `onion lab up` takes it, e.g. `--dead-router`
   */
  static async up(...faults: string[]): Promise<Lab> {
    const machine = await Machine.make();
    const { code, stderr } = await machine.onion("lab", "up", ...faults);
    if (code === 0) return new Lab(machine);
    await machine[Symbol.asyncDispose]();
    assert.fail(`onion lab up: ${stderr}`);
  }

  /** Words to put before a command line, so that it runs in a party of the lab as the same process. */
  inside(party: string): string[] {
    return [...this.machine.enter, ...inside(party, [])];
  }

  /** Runs a program in a party of the lab to its end. */
  run(party: string, ...command: string[]): Promise<Ended> {
    const [program, ...args] = [...this.inside(party), ...command];
    return run(program!, args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { code, stderr } = await this.machine.onion("lab", "down");
    await this.machine[Symbol.asyncDispose]();
    assert.equal(code, 0, stderr);
  }
}
