/**
 * The lab's VM, as somebody uses it who sits in front of it: stages run there, and the usual tools.
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

/** What a test in the VM needs of the machine it runs on. */
export const VM_NEEDS = [...LAB_NEEDS, "ping"];

/** Addresses of the VM and its neighbours, as src/lab/topology.ts draws them. */
export const Address = {
  /** Of eth0: the one whose packets are captured. */
  vm: "10.0.2.15",
  /** Of eth1: the one that router 1 leaves by. */
  exit: "192.168.201.2",
  /** Who answers for the onion, which is one hop. */
  hop: "10.5.51.1",
  gw0: "10.0.2.2",
  gw1: "192.168.201.1",
  csail: "128.30.2.155",
  mit: "18.9.22.69",
} as const;

/** Everything about the VM that a run may change, as the usual tools show it. */
type VmState = Readonly<Record<keyof typeof VIEWS | "processes", string>>;

/** How they are looked at, by what is seen. */
const VIEWS = {
  links: "ip -details link show",
  addresses: "ip address show",
  rules: "ip rule show",
  routes: "ip route show table all",
  firewall: "nft list ruleset",
  // `flush` can only be written.
  sysctls: "grep -rs . /proc/sys/net/ipv4 --exclude=flush | sort",
  journals: "find /run/onion -path /run/onion/lab -prune -o -print",
};

/** What stands before the name of a view, and nowhere else. */
const HEADING = "\f";

/** The VM of a lab of its own. At the end of its block the lab is down. */
export class Vm implements AsyncDisposable {
  readonly #stack = new DisposableStack();

  private constructor(readonly lab: Lab) {}

  /** Brings the lab up. */
  static async up(): Promise<Vm> {
    return new Vm(await Lab.up());
  }

  /** Runs a command line in the VM to its end. Its words have no blanks. */
  run(command: string): Promise<Ended> {
    return this.at(VM, command);
  }

  /** The same in another party of the lab. */
  at(party: string, command: string): Promise<Ended> {
    return this.lab.run(party, ...words(command));
  }

  /** Runs commands in the VM, each a line for a shell, and insists that they succeed. */
  async sh(...commands: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.lab.run(VM, "sh", "-euc", commands.join("\n"));
    assert.equal(code, 0, `${commands.join("; ")}: ${stderr}`);
    return stdout;
  }

  /** `ping`, in numbers only, which waits two seconds for an answer where none comes. */
  ping(args: string): Promise<Ended> {
    return this.run(`timeout 20 ping -n -W 2 ${args}`);
  }

  /** So many pings, all of which must be answered, each once. */
  async pings(count: number, args: string): Promise<Ended> {
    // Without -w it waits for the last answer no longer than for the others, however busy the machine is just then.
    const said = await this.run(`ping -n -w 10 -c ${count} ${args}`);
    assertAllAnswered(said, count);
    return said;
  }

  /** Starts `onion` here. */
  onion(args: readonly string[], circumstances: Circumstances = {}): Promise<Onion> {
    const { via = [] } = circumstances;
    return Onion.start(args, { ...circumstances, via: [...this.lab.inside(VM), ...via] });
  }

  /** Starts `onion` here with a classic config file, in the directory that the file is in. */
  async configured(text: string): Promise<Onion> {
    const scratch = this.#stack.use(scratchDirectory());
    Deno.writeTextFileSync(`${scratch.path}/onion.conf`, text);
    return await this.onion(["onion.conf"], { directory: scratch.path });
  }

  /** Starts stage 3 here, and waits until it is ready. */
  stage3(args = ""): Promise<Onion> {
    return this.stage(3, args);
  }

  /** Starts a stage here, and waits until it is ready. */
  async stage(number: number, args = "", circumstances: Circumstances = {}): Promise<Onion> {
    await using stack = new AsyncDisposableStack();
    const onion = stack.use(await this.onion(["--stage", `${number}`, ...words(args)], circumstances));
    await onion.ready();
    stack.move();
    return onion;
  }

  /** `onion down`, which must succeed, and leaves nothing to undo. */
  async down(): Promise<void> {
    await using onion = await this.onion(["down"]);
    const { code, stderr } = await onion.ended;
    assert.deepEqual([code, stderr], [0, ""]);
  }

  /** Looks at everything. */
  async state(): Promise<VmState> {
    // First and alone: the tools below run in the VM too.
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

/** Ends a run as a user does, and insists that it went well from start to end. */
export async function endWell(onion: Onion): Promise<End> {
  const end = await onion.end();
  assert.deepEqual([end.code, end.stderr], [0, ""]);
  return end;
}

/** Without what is no setting: the queue of a link that has ever been up, and whether somebody is attached to a TUN. */
function settled(text: string): string {
  return text.replaceAll(/ qdisc \S+| state \S+|NO-CARRIER,|,LOWER_UP| linkdown/g, "");
}
