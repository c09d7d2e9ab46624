/**
 * The practice network for tests. Each lab has its own machine, so that it meets neither the user's
 * lab, nor another test's, nor a way out.
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

/** The needs of a test in the lab. */
export const LAB_NEEDS = ["root", "namespaces", "nsenter", "ip", "nft"];

/**
 * Drops the way out and the view of other namespaces, prints `ready`, and waits until its standard
 * input ends. Mounts of others below /run must not be seen here, because they may be unmounted at
 * any time.
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

/**
 * A machine with its own network and `/run`. Processes, files and programs are those of the host.
 */
export class Machine implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;

  private constructor(holder: Deno.ChildProcess) {
    this.#holder = holder;
  }

  /** Creates a machine. */
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

  /**
   * A prefix that runs a command line on this machine, as the same process in the same directory.
   */
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

  /**
   * Everything that a change to this machine would show in: network, firewall, mounts, `/run`,
   * `/etc`.
   */
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

/** The practice network. It is up until the end of its block, and so are the programs in it. */
export class Lab implements AsyncDisposable {
  protected constructor(readonly machine: Machine) {}

  /**
   * Brings it up.
   *
   * @param faults options of `onion lab up`, e.g. `--dead-router`
   */
  static async up(...faults: string[]): Promise<Lab> {
    const machine = await Machine.make();
    const { code, stderr } = await machine.onion("lab", "up", ...faults);
    if (code === 0) return new Lab(machine);
    await machine[Symbol.asyncDispose]();
    assert.fail(`onion lab up: ${stderr}`);
  }

  /** A prefix that runs a command line in a party of the lab, as the same process. */
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
