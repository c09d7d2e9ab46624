/**
 * Hosts where somebody else's rules or firewall are in the way of a run's packets. A run makes way
 * for its own, or does not start and says why.
 */
import assert from "node:assert/strict";
import { Capture } from "./support/capture.ts";
import { needing } from "./support/program.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

const NEEDS = [...VM_NEEDS, "tcpdump"];

/** Runs a stage that does not start. Asserts that it changes nothing, and returns its message. */
async function refused(vm: Vm, args: string[], exitCode: number): Promise<string> {
  const before = await vm.state();
  await using onion = await vm.onion(args);
  const { code, stdout, stderr } = await onion.ended;
  assert.deepEqual([code, stdout], [exitCode, ""], stderr);
  assert.deepEqual(await vm.state(), before);
  return stderr.trimEnd();
}

Deno.test({
  ...needing("ways: our rules go in front of rules that lead captured packets elsewhere", ...NEEDS),
  fn: async (t) => {
    const first = {
      "a rule for everything": ["ip rule add priority 5 lookup main"],
      "a rule at the same priority": ["ip rule add priority 8 lookup main"],
      "a rule for a part of a captured block": ["ip rule add priority 4 to 128.30.0.0/16 lookup main"],
      "a rule for all but marked packets, as of a VPN": [
        "ip rule add not fwmark 0xca6c table 51820 priority 6",
        "ip route add default via 10.0.2.2 table 51820",
      ],
      "a VPN's rules after ours, which choose another source": [
        "ip route add default via 192.168.202.1 dev eth2 table 51820",
        "ip rule add not fwmark 0xca6c table 51820 priority 32765",
        "ip rule add table main suppress_prefixlength 0 priority 32764",
      ],
    };
    for (const [name, prepare] of Object.entries(first)) {
      await t.step(name, async () => {
        await using vm = await Vm.up();
        await vm.sh(...prepare);
        const before = await vm.state();
        await using onion = await vm.stage3();
        {
          const filter = "net 18.0.0.0/8 or net 128.0.0.0/8";
          const place = { party: "gw0", interface: "vm", answers: Address.vm, filter };
          await using outside = await Capture.start(vm.lab, place);
          for (const bind of [`-I ${Address.vm} `, ""]) await vm.pings(2, `-i 0.01 ${bind}${Address.csail}`);
          assert.deepEqual(await outside.packets(), []);
        }
        await endWell(onion);
        assert.deepEqual(await vm.state(), before);
      });
    }
  },
});

Deno.test({
  ...needing("ways: a start fails if another way comes first, and names what is in the way", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await vm.sh("ip rule add priority 5 lookup main");
    assert.equal(
      await refused(vm, ["--stage", "3", "--priority", "9"], 1),
      "onion: packets from 10.0.2.15 to 18.0.0.1 would leave by eth0 and not by tun1, " +
        "because of rule 5: from all lookup main; " +
        "remove that rule: ip rule delete priority 5, or choose a --priority below 5",
    );
    await vm.sh("ip rule delete priority 5", "ip rule add priority 1 to 128.30.0.0/16 lookup main");
    assert.equal(
      await refused(vm, ["--stage", "6"], 1),
      "onion: packets from 10.0.2.15 to 128.30.0.1 would leave by eth0 and not by tun1, " +
        "because of rule 1: from all to 128.30.0.0/16 lookup main; " +
        "remove that rule: ip rule delete priority 1",
    );
    await using doctor = await vm.onion(["doctor"]);
    const { code, stdout } = await doctor.ended;
    assert.equal(code, 4);
    assert.match(stdout, /packets from 10\.0\.2\.15 to 128\.30\.0\.1 would leave by eth0/);
  },
});

Deno.test({
  ...needing(
    "links: a start fails if a firewall changes sources on loopback, and names it",
    ...VM_NEEDS,
    "nft",
  ),
  fn: async () => {
    await using vm = await Vm.up();
    const why = "a firewall changes the source of packets on loopback to 10.0.2.15; " +
      'name the interface in its masquerade or SNAT rule: nft `oifname != "lo" masquerade`, ' +
      "iptables `! -o lo -j MASQUERADE`";
    const chain = "chain post { type nat hook postrouting priority 100; masquerade; }";
    await vm.sh(`nft 'table ip m { ${chain}; }'`);
    for (const stage of [2, 3, 6]) {
      const said = await refused(vm, ["--stage", `${stage}`], 4);
      assert.equal(said, `onion: the proxy cannot hear router 1: ${why}`);
    }
    await using doctor = await vm.onion(["doctor"]);
    assert.match((await doctor.ended).stdout, /changes the source of packets on loopback to 10\.0\.2\.15/);
    // As the message says.
    await vm.sh(
      "nft delete table ip m",
      `nft 'table ip m { ${chain.replace("masq", 'oifname != "lo" masq')}; }'`,
    );
    await using onion = await vm.stage3();
    await vm.pings(2, `-i 0.01 ${Address.csail}`);
    await endWell(onion);
  },
});

Deno.test({
  ...needing("links: a start fails if a firewall drops the datagrams of one router", ...VM_NEEDS, "nft"),
  fn: async () => {
    await using vm = await Vm.up();
    // Only empty datagrams, so that the control channel goes on.
    await vm.sh(
      "nft 'table ip m { chain in { type filter hook input priority 0; iif lo udp length 8 drop; }; }'",
    );
    assert.equal(
      await refused(vm, ["--stage", "4"], 4),
      "onion: the proxy cannot hear router 1: a firewall drops datagrams on loopback; " +
        "let them pass: accept what comes in by lo",
    );
  },
});

Deno.test({
  ...needing("ways: a run tells once what came in the way, and when it is gone", ...NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.stage3();
    const filter = "net 18.0.0.0/8 or net 128.0.0.0/8";
    const place = { party: "gw0", interface: "vm", answers: Address.vm, filter };
    {
      await using outside = await Capture.start(vm.lab, place);
      // Without a priority, the kernel puts a rule in front of all others.
      await vm.sh("ip rule add from 10.0.0.0/8 lookup main");
      await onion.stderr.find(
        /would leave by eth0 and not by tun1, because of rule \d+: from 10\.0\.0\.0\/8/,
      );
      await vm.ping(`-I ${Address.vm} -c 2 -i 0.1 ${Address.csail}`);
      assert.deepEqual(await outside.packets(), []);
      await vm.sh("ip rule delete from 10.0.0.0/8 lookup main");
      await onion.stderr.find(/nothing is in the way of packets any more/);
      await vm.pings(2, `-i 0.01 -I ${Address.vm} ${Address.csail}`);
    }
    const { code, stderr } = await onion.end();
    assert.equal(code, 0);
    assert.equal(stderr.match(/would leave by/g)?.length, 1, stderr);
  },
});
