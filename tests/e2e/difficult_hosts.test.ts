/**
 * Hosts that make it difficult to carry what is captured, or to leave others alone: other VPNs,
 * firewalls, odd addresses and gateways. Each run carries the captured packets, or says what is in
 * the way. In no case do they leave in the clear.
 */
import assert from "node:assert/strict";
import { needing } from "./support/program.ts";
import { Rig, RIG_NEEDS } from "./support/rig.ts";
import { Address, endWell } from "./support/vm.ts";
import type { Onion } from "./support/onion.ts";

/** A host, and what a run of stage 3 on it must do. */
interface Host {
  /** Cards besides eth0; by default 1. */
  readonly cards?: number;
  readonly prepare?: (rig: Rig) => Promise<unknown>;
  readonly args?: string;
  /** What happens during the run, before packets must pass. */
  readonly happens?: (rig: Rig, onion: Onion) => Promise<unknown>;
}

const vm = (...commands: string[]) => (rig: Rig) => rig.sh(...commands);

/** Another VPN's interface, eth2, with its own table and rules. */
const WG_QUICK = [
  "ip route add default via 192.168.202.1 dev eth2 table 51820",
  "ip rule add not fwmark 0xca6c table 51820 priority 32765",
  "ip rule add table main suppress_prefixlength 0 priority 32764",
];

/** Hosts on which a run carries packets, whatever it takes. */
const CARRIED: Readonly<Record<string, Host>> = {
  "whose other VPN has a more specific route in the main table": {
    cards: 2,
    prepare: vm(
      "ip route add 0.0.0.0/1 via 192.168.202.1 dev eth2",
      "ip route add 128.0.0.0/1 via 192.168.202.1 dev eth2",
    ),
    args: `--from ${Address.vm} --exit eth1`,
  },
  "with a rule without a priority for the main table": {
    prepare: vm("ip rule add table main"),
    args: "--exit eth1",
  },
  "whose exit is named by another of its names": {
    prepare: vm("ip link property add dev eth1 altname uplink1"),
    args: "--exit uplink1",
  },
  "whose TUN interface has several queues": {
    prepare: vm("ip tuntap add dev tun1 mode tun multi_queue"),
  },
  "whose exit's gateway changes": {
    happens: async (rig) => {
      await rig.on(
        "nat",
        "ip address add 192.168.201.254/24 dev eth1",
        "ip address delete 192.168.201.1/24 dev eth1",
        "ip address replace 192.168.201.254/24 dev eth1",
      );
      await rig.sh(
        "ip route replace default via 192.168.201.254 dev eth1 metric 201",
        "ip neighbour flush all",
      );
    },
  },
};

Deno.test({
  ...needing("difficult host: packets pass the onion, and nowhere else", ...RIG_NEEDS),
  fn: async (t) => {
    for (const [name, host] of Object.entries(CARRIED)) {
      const { cards = 1, prepare, args = "", happens } = host;
      await t.step(name, async () => {
        await using rig = await Rig.up({ cards });
        await prepare?.(rig);
        const before = await rig.state();
        await using onion = await rig.stage3(args);
        await happens?.(rig, onion);
        await rig.passes();
        assert.deepEqual(await rig.clear(), {});
        assert.deepEqual(Object.keys(await rig.carried()), ["eth1 192.168.201.2"]);
        if (happens === undefined) {
          await endWell(onion);
          assert.deepEqual(await rig.state(), before);
        }
      });
    }
  },
});

/** Hosts on which something comes first, and the word that names it. */
const IN_THE_WAY: Readonly<Record<string, Host & { readonly names: RegExp }>> = {
  "whose other VPN leads everything without its mark into its own table": {
    cards: 2,
    prepare: vm(...WG_QUICK),
    args: "--exit eth1",
    names: /51820|eth2/,
  },
  "with a rule that leads everything to the main table": {
    prepare: vm("ip rule add priority 5 table main"),
    names: /rule|priority 5|table main/,
  },
  "with a rule that leads ICMP to the main table": {
    prepare: vm("ip rule add priority 5 ipproto icmp table main"),
    names: /rule|priority 5|table main/,
  },
};

Deno.test({
  ...needing("difficult host: what is in the way is named, and nothing leaves in the clear", ...RIG_NEEDS),
  fn: async (t) => {
    for (const [name, { cards = 1, prepare, args = "", names }] of Object.entries(IN_THE_WAY)) {
      await t.step(name, async () => {
        await using rig = await Rig.up({ cards });
        await prepare?.(rig);
        const before = await rig.state();
        await using onion = await rig.onion(["--stage", "3", ...args.split(" ").filter(Boolean)]);
        const isReady = await onion.ready().then(() => true, () => false);
        if (isReady) {
          const answered = await rig.probe();
          assert.deepEqual(await rig.clear(), {});
          const { stderr } = await onion.end();
          // Packets pass all the same, or the operator knows why not.
          if (Math.min(...answered) < 3) assert.match(stderr, names);
        } else {
          const { code, stderr } = await onion.ended;
          assert.notEqual(code, 0);
          assert.match(stderr, names);
          await onion.gone;
        }
        assert.deepEqual(await rig.state(), before);
      });
    }
  },
});

Deno.test({
  ...needing("exit: neighbours reach its address before, during and after a run", ...RIG_NEEDS),
  fn: async () => {
    await using rig = await Rig.up();
    // The NAT switches between them, but does not route back what came in by the same card.
    await rig.on(
      "nat",
      "ip address flush dev eth1",
      "ip link add br1 type bridge",
      "ip link set eth1 master br1",
      "ip address add 192.168.201.1/24 dev br1",
      "ip link set br1 up",
      "ip link add port index 61 type veth peer name host index 161 netns onion-world",
      "ip link set port master br1 up",
      "[ ! -e /proc/sys/net/bridge ] || sysctl -qw net.bridge.bridge-nf-call-iptables=0",
      "nft 'table ip f { chain fw { type filter hook forward priority 0; iifname br1 oifname br1 drop; }; }'",
    );
    await rig.on("world", "ip address add 192.168.201.50/24 dev host", "ip link set host up");
    const reach = async (when: string) => {
      const { stdout } = await rig.at("world", "ping -n -c 2 -i 0.02 -W 0.5 -I host 192.168.201.2");
      assert.match(stdout, / 2 received/, `${when} the run: ${stdout}`);
    };
    await reach("before");
    await using onion = await rig.stage3("--exit eth1");
    await reach("during");
    assert.deepEqual(await rig.probe(), [3, 3]);
    assert.equal((await onion.end()).code, 0);
    await reach("after");
  },
});

/** Echoes what it receives on a connection. */
const ECHO = `
import socket
s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(("", 2222)); s.listen(); print("up", flush=True)
c, _ = s.accept()
while d := c.recv(99): c.send(d)
`;

/** Sends a line a time over one connection, whenever it is told to, and says what comes back. */
const ASKS = `
import socket, sys
s = socket.socket(); s.bind(("${Address.csail}", 0)); s.settimeout(3); s.connect(("203.0.113.2", 2222))
for line in sys.stdin:
    s.send(line.encode())
    try: back = s.recv(99).decode()
    except Exception: back = "none\\n"
    sys.stdout.write(back); sys.stdout.flush()
`;

Deno.test({
  ...needing("capture: connections from captured blocks to the host go on", ...RIG_NEEDS, "python3"),
  fn: async () => {
    await using rig = await Rig.up({ cards: 0 });
    await rig.on(
      "nat",
      "nft 'add chain ip nat arriving { type nat hook prerouting priority dstnat; }'",
      "nft 'add rule ip nat arriving iifname world ip protocol { icmp, tcp } dnat to 10.0.2.15'",
    );
    const ping = async () => {
      const { stdout } = await rig.at("world", `ping -n -I ${Address.csail} -c 2 -i 0.02 -W 0.5 203.0.113.2`);
      assert.match(stdout, / 2 received/);
    };
    await using talk = await Talk.start(rig);
    await ping();
    await talk.works("before");
    await using onion = await rig.stage3();
    await ping();
    await talk.works("during");
    assert.deepEqual(await rig.probe(), [3, 3]);
    assert.deepEqual(await rig.clear(), {});
    await endWell(onion);
    await talk.works("after");
  },
});

/** A TCP connection from a captured block to the VM. */
class Talk implements AsyncDisposable {
  readonly #children: readonly Deno.ChildProcess[];
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  private constructor(server: Deno.ChildProcess, client: Deno.ChildProcess) {
    this.#children = [server, client];
    this.#writer = client.stdin.getWriter();
    this.#lines = client.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  }

  static async start(rig: Rig): Promise<Talk> {
    const python = (party: string, script: string) => {
      const [program, ...args] = [...rig.lab.inside(party), "python3", "-c", script];
      return new Deno.Command(program!, { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
    };
    const server = python("vm", ECHO);
    const said = server.stdout.getReader();
    await said.read();
    said.releaseLock();
    return new Talk(server, python("world", ASKS));
  }

  async works(word: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${word}\n`));
    assert.equal((await this.#lines.next()).value, `${word}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has already ended.
      }
    }
    await this.#lines.return?.();
    await this.#children[0]!.stdin.close().catch(() => {});
    await this.#children[0]!.stdout.cancel();
    await Promise.all(this.#children.map(({ status }) => status));
  }
}
