/**
 * A VM with network cards, a NAT behind them, and the world behind the NAT. The NAT counts what
 * leaves the VM by each card, and tells what came through the onion from what went in the clear.
 *
 * ```
 *   vm ┬ eth0 10.0.2.15 ──────── 10.0.2.2 ┬ nat ─ 203.0.113.2 ── 203.0.113.1 ─ world
 *      ├ eth1 192.168.201.2 ─ 192.168.201.1 ┤                      128.30.2.155, 18.9.22.69, …
 *      └ …                                …
 * ```
 *
 * A card and the other end of its cable have the same name.
 *
 *     await using rig = await Rig.up();
 *     await using onion = await rig.stage3();
 *     await rig.sh("nft flush ruleset");
 *     await rig.probe();
 *     assert.deepEqual(await rig.clear(), {});
 *
 * @module
 */
import assert from "node:assert/strict";
import { namespaceOf } from "../../../src/lab/plan.ts";
import { Lab, Machine } from "./lab.ts";
import type { Onion } from "./onion.ts";
import { Pinging } from "./pinging.ts";
import { Address, Vm } from "./vm.ts";

/** The needs of a test with a rig. */
export const RIG_NEEDS = ["root", "namespaces", "nsenter", "ip", "nft", "ping", "sysctl"];

/**
 * TTL of the packets that the VM's own sockets send. A router of the onion decrements it, so what
 * leaves with this TTL has not passed the onion.
 */
const OWN_TTL = 77;

/** The blocks that runs capture by default. */
const CAPTURED = "{ 18.0.0.0/8, 128.0.0.0/8 }";

const PARTIES = ["vm", "nat", "world"] as const;

/** A party of the rig. */
type Party = (typeof PARTIES)[number];

/** A network card of the VM and its cable to the NAT. */
export interface Card {
  /** Its number: eth0 has 10.0.2.15/24, eth1 has 192.168.201.2/24, and so on. */
  readonly number?: number;
  readonly name: string;
  /** Its address with a prefix length; none by default. */
  readonly address?: string;
  /** The address of the other end. */
  readonly other?: string;
}

/** The card with this number, as in the lab. */
function numbered(number: number): Required<Card> {
  const [net, host, gateway] = number === 0
    ? ["10.0.2", 15, 2] as const
    : [`192.168.20${number}`, 2, 1] as const;
  return { number, name: `eth${number}`, address: `${net}.${host}/24`, other: `${net}.${gateway}/24` };
}

/** Echo requests, TCP connections and datagrams to captured blocks, counted for each card. */
const COUNTING = `
table ip seen {
  set clear { type ifname; size 64; flags dynamic; }
  set carried { type ifname . ipv4_addr; size 64; flags dynamic; }
  chain arriving {
    type filter hook prerouting priority raw;
    iifname "world" return
    ip daddr != ${CAPTURED} return
    icmp type != echo-request return
    tcp flags & (syn | ack) != syn return
    ip ttl ${OWN_TTL} update @clear { iifname counter } return
    update @carried { iifname . ip saddr counter }
  }
}
table ip nat {
  chain leaving { type nat hook postrouting priority srcnat; oifname "world" masquerade; }
}
`;

/** The small network. Its machine's own /run keeps names and journals apart from all others. */
class SmallLab extends Lab {
  static async of(cards: number): Promise<SmallLab> {
    const machine = await Machine.make();
    const lab = new SmallLab(machine);
    try {
      await lab.#build(Array.from({ length: cards + 1 }, (_, number) => numbered(number)));
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
    return lab;
  }

  override inside(party: string): string[] {
    return [...this.machine.enter, "ip", "netns", "exec", namespaceOf(party)];
  }

  async sh(party: Party, ...commands: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(party, "sh", "-euc", commands.join("\n"));
    assert.equal(code, 0, `${commands.join("; ")}: ${stderr}`);
    return stdout;
  }

  /** Runs lines of `ip -batch` on the machine. */
  async batch(...lines: string[]): Promise<void> {
    const { code, stderr } = await this.machine.run(["sh", "-euc", hereDocument("ip -batch -", lines)]);
    assert.equal(code, 0, stderr);
  }

  async #build(cards: readonly Required<Card>[]): Promise<void> {
    // Keeps the directory of journals, which is removed with its last file.
    await this.machine.run(["mkdir", "-p", "/run/onion/lab"]);
    await this.batch(
      ...PARTIES.map((party) => `netns add ${namespaceOf(party)}`),
      ...cards.map(({ name, number }) => cable(["vm", name], ["nat", name], number)),
      cable(["nat", "world"], ["world", "nat"], 90),
    );
    const routes = cards.map(({ name, other, number }) =>
      `route add default via ${bare(other)} dev ${name}${number === 0 ? "" : ` metric ${200 + number}`}`
    );
    await Promise.all([
      this.sh(
        "vm",
        ...sysctls({ ip_forward: 0, ip_default_ttl: OWN_TTL, "conf/*/rp_filter": 2 }),
        hereDocument("ip -batch -", [
          ...UP,
          ...cards.flatMap(({ name, address }) => numberedUp(name, address)),
          ...routes,
        ]),
      ),
      this.sh(
        "nat",
        ...sysctls(FORWARDING),
        hereDocument("ip -batch -", [
          ...UP,
          ...cards.flatMap(({ name, other }) => numberedUp(name, other)),
          ...numberedUp("world", "203.0.113.2/24"),
          "route add default via 203.0.113.1",
        ]),
        hereDocument("nft -f -", [COUNTING]),
      ),
      this.sh(
        "world",
        ...sysctls(FORWARDING),
        hereDocument("ip -batch -", [
          ...UP,
          ...numberedUp("nat", "203.0.113.1/24"),
          ...["18.9.22.69", "128.30.2.155", "128.30.2.102", "128.30.2.103", "128.30.2.104"].map((address) =>
            `address add ${address}/32 dev lo`
          ),
        ]),
      ),
    ]);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    // A namespace lives as long as its processes.
    const killing = PARTIES.map((party) => `ip netns pids ${namespaceOf(party)}`).join("; ");
    await this.machine.run(["sh", "-c", `for pid in $(${killing}); do kill -KILL $pid; done`]);
    await this.machine[Symbol.asyncDispose]();
  }
}

const UP = ["link set dev lo up"];

/** Milliseconds between probes are short, so ICMP errors must not be limited. */
const FORWARDING = { ip_forward: 1, icmp_ratemask: 0, "conf/*/rp_filter": 0 };

/** A VM of its own. At the end of its block nothing of it is left. */
export class Rig extends Vm {
  readonly #lab: SmallLab;
  #plugged = 20;

  private constructor(lab: SmallLab) {
    super(lab);
    this.#lab = lab;
  }

  /**
   * Builds it.
   *
   * @param cards the number of cards besides eth0
   */
  static override async up({ cards = 1 }: { readonly cards?: number } = {}): Promise<Rig> {
    return new Rig(await SmallLab.of(cards));
  }

  /** Runs shell commands in the NAT or the world, and asserts that they succeed. */
  on(party: Party, ...commands: string[]): Promise<string> {
    return this.#lab.sh(party, ...commands);
  }

  /** Plugs in another card, or one that was unplugged again. It gets a new index. */
  async plug({ name, address, other }: Card): Promise<void> {
    await this.#lab.batch(cable(["vm", name], ["nat", name], ++this.#plugged));
    const up = (end: string | undefined) =>
      hereDocument("ip -batch -", end === undefined ? [`link set dev ${name} up`] : numberedUp(name, end));
    await this.sh(up(address));
    await this.on("nat", up(other));
  }

  /** Plugs eth1, eth2, … in again after it was deleted, with its route. */
  async replug(number: number): Promise<void> {
    const card = numbered(number);
    await this.plug(card);
    await this.sh(`ip route add default via ${bare(card.other)} dev ${card.name} metric ${200 + number}`);
  }

  /** What left by each card in the clear, to captured blocks, since the start or the last reset. */
  clear(): Promise<Record<string, number>> {
    return this.#seen("clear");
  }

  /**
   * What the onion's routers sent to captured blocks, by card and source address: `eth1
   * 192.168.201.2`.
   */
  carried(): Promise<Record<string, number>> {
    return this.#seen("carried");
  }

  /** Counts from zero again. */
  async reset(): Promise<void> {
    await this.on("nat", "nft flush set ip seen clear", "nft flush set ip seen carried");
  }

  /**
   * Sends a few pings to captured blocks from a socket that is bound to the captured address, and
   * from one that is bound to none.
   *
   * @returns how many of them were answered, in this order
   */
  async probe(count: number = 3, captured: string = Address.vm): Promise<[bound: number, unbound: number]> {
    const said = await Promise.all(
      [`-I ${captured} ${Address.csail}`, Address.csail].map((args) =>
        this.run(`timeout 10 ping -n -c ${count} -i 0.02 -W 0.5 ${args}`)
      ),
    );
    const [bound, unbound] = said.map(({ stdout }) => stdout.match(/^\d+ bytes from /gm)?.length ?? 0);
    return [bound!, unbound!];
  }

  /** Waits until pings of both kinds pass, for a second at most. */
  async passes(captured: string = Address.vm): Promise<void> {
    await using pinging = Pinging.start(this, captured);
    assert.ok(await pinging.pass(), "nothing passes");
  }

  /** Waits until a line on stderr matches, for two seconds at most. */
  async says(onion: Onion, pattern: RegExp): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`${pattern} is not in: ${onion.stderr.text}`)),
      2000,
    );
    try {
      await Promise.race([onion.stderr.find(pattern), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #seen(set: "clear" | "carried"): Promise<Record<string, number>> {
    const text = await this.on("nat", `nft list set ip seen ${set}`);
    const counters = text.matchAll(/"([^"]+)"(?: \. (\S+))? counter packets (\d+) /g);
    return Object.fromEntries(
      [...counters].map((
        [, card, source, packets],
      ) => [source === undefined ? card! : `${card} ${source}`, Number(packets)]),
    );
  }
}

/**
 * The two ends must differ in their indices. Otherwise the kernel takes up to a second to notice
 * that the link is up (see src/lab/plan.ts).
 */
function cable(one: readonly [Party, string], other: readonly [Party, string], number: number): string {
  const end = ([party, name]: readonly [Party, string], index: number) =>
    `name ${name} netns ${namespaceOf(party)} index ${index}`;
  return `link add ${end(one, 11 + number)} type veth peer ${end(other, 111 + number)}`;
}

function numberedUp(name: string, address: string): string[] {
  return [`address add ${address} dev ${name}`, `link set dev ${name} up`];
}

/** Commands that write sysctls of IPv4. A `*` stands for every interface. IPv6 stays off. */
function sysctls(values: Readonly<Record<string, number>>): string[] {
  const all = Object.entries({ ...values, "../ipv6/conf/*/disable_ipv6": 1 });
  return all.map(([name, value]) =>
    `for file in /proc/sys/net/ipv4/${name}; do [ ! -e "$file" ] || echo ${value} >"$file"; done`
  );
}

function hereDocument(command: string, lines: readonly string[]): string {
  return [`${command} <<'.'`, ...lines, "."].join("\n");
}

function bare(block: string): string {
  return block.replace(/\/\d+$/, "");
}
