/**
 * The lab's VM as a user sees it: stages and the usual tools run there.
 *
 * @module
 */
import assert from "node:assert/strict";
import { namespaceOf } from "../../../src/lab/plan.ts";
import { VM } from "../../../src/lab/topology.ts";
import { Lab, LAB_NEEDS } from "./lab.ts";
import { type Circumstances, type End, Onion } from "./onion.ts";
import { type Ended, scratchDirectory } from "./program.ts";
import { assertAllAnswered } from "./tools.ts";

/** The needs of a test in the VM. */
export const VM_NEEDS = [...LAB_NEEDS, "ping"];

/** Addresses of the VM and its neighbours, from src/lab/topology.ts. */
export const Address = {
  /** The address of eth0, whose packets are captured. */
  vm: "10.0.2.15",
  /** The address of eth1, the exit of router 1. */
  exit: "192.168.201.2",
  /** The address of the onion, which is one hop. */
  hop: "10.5.51.1",
  gw0: "10.0.2.2",
  gw1: "192.168.201.1",
  csail: "128.30.2.155",
  mit: "18.9.22.69",
} as const;

/** Everything in the VM that a run may change, as the usual tools show it. */
type VmState = Readonly<Record<keyof typeof VIEWS | "processes", string>>;

/** The command for each view. */
const VIEWS = {
  links: "ip -details link show",
  addresses: "ip address show",
  rules: "ip rule show",
  routes: "ip route show table all",
  firewall: "nft list ruleset",
  // `flush` is write-only.
  sysctls: "grep -rs . /proc/sys/net/ipv4 --exclude=flush | sort",
  journals: "find /run/onion -path /run/onion/lab -prune -o -print",
};

/** Marks the name of a view in the output. No command prints it. */
const HEADING = "\f";

/** The VM of a new lab. At the end of its block the lab is down. */
export class Vm implements AsyncDisposable {
  readonly #stack = new DisposableStack();

  protected constructor(readonly lab: Lab) {}

  /** Brings the lab up. */
  static async up(): Promise<Vm> {
    return new Vm(await Lab.up());
  }

  /** Runs a command line in the VM to its end. Its words must not contain spaces. */
  run(command: string): Promise<Ended> {
    return this.at(VM, command);
  }

  /** Runs a command line in another party of the lab to its end. */
  at(party: string, command: string): Promise<Ended> {
    return this.lab.run(party, ...words(command));
  }

  /** Runs shell commands in the VM, and asserts that they succeed. */
  async sh(...commands: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.lab.run(VM, "sh", "-euc", commands.join("\n"));
    assert.equal(code, 0, `${commands.join("; ")}: ${stderr}`);
    return stdout;
  }

  /** Runs `ping` without names, with a timeout of two seconds for a reply. */
  ping(args: string): Promise<Ended> {
    return this.run(`timeout 20 ping -n -W 2 ${args}`);
  }

  /** Sends `count` pings, and asserts that each is answered once. */
  async pings(count: number, args: string): Promise<Ended> {
    // Without -w, ping may give up on the last reply early on a busy machine.
    const said = await this.run(`ping -n -w 10 -c ${count} ${args}`);
    assertAllAnswered(said, count);
    return said;
  }

  /** Starts `onion` in the VM. */
  onion(args: readonly string[], circumstances: Circumstances = {}): Promise<Onion> {
    const { via = [] } = circumstances;
    return Onion.start(args, { ...circumstances, via: [...this.lab.inside(VM), ...via] });
  }

  /** Starts `onion` in the VM with a classic config file in its working directory. */
  async configured(text: string): Promise<Onion> {
    const scratch = this.#stack.use(scratchDirectory());
    Deno.writeTextFileSync(`${scratch.path}/onion.conf`, text);
    return await this.onion(["onion.conf"], { directory: scratch.path });
  }

  /** Starts stage 3 in the VM, and waits until it is ready. */
  stage3(args = ""): Promise<Onion> {
    return this.stage(3, args);
  }

  /** Starts a stage in the VM, and waits until it is ready. */
  async stage(number: number, args = "", circumstances: Circumstances = {}): Promise<Onion> {
    await using stack = new AsyncDisposableStack();
    const onion = stack.use(await this.onion(["--stage", `${number}`, ...words(args)], circumstances));
    await onion.ready();
    stack.move();
    return onion;
  }

  /** Runs `onion down`, and asserts that it succeeds. */
  async down(): Promise<void> {
    await using onion = await this.onion(["down"]);
    const { code, stderr } = await onion.ended;
    assert.deepEqual([code, stderr], [0, ""]);
  }

  /** Takes all views. */
  async state(): Promise<VmState> {
    // First and alone, because the tools below run in the VM too.
    const { stdout: processes } = await this.lab.machine.run(["ip", "netns", "pids", namespaceOf(VM)]);
    const script = Object.entries(VIEWS).map(([name, command]) => `echo "${HEADING}${name}"\n${command}`);
    const seen = settled(await this.sh(...script)).split(HEADING).slice(1).map((view) => {
      const end = view.indexOf("\n");
      return [view.slice(0, end), view.slice(end + 1)];
    });
    return { ...Object.fromEntries(seen) as Record<keyof typeof VIEWS, string>, processes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stack[Symbol.dispose]();
    await this.lab[Symbol.asyncDispose]();
  }
}

/** The words of a command line. */
export function words(line: string): string[] {
  return line.split(" ").filter(Boolean);
}

/** Ends a run as a user would, and asserts that it went well. */
export async function endWell(onion: Onion): Promise<End> {
  const end = await onion.end();
  assert.deepEqual([end.code, end.stderr], [0, ""]);
  return end;
}

/**
 * Removes what is not a setting: the queue of a link that has been up, and whether a process is
 * attached to a TUN.
 */
function settled(text: string): string {
  return text.replaceAll(/ qdisc \S+| state \S+|NO-CARRIER,|,LOWER_UP| linkdown/g, "");
}
