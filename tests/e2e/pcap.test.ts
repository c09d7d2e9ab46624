/**
 * `--pcap`: files that tcpdump can read, with the packets of each link and each party.
 */
import assert from "node:assert/strict";
import { partyAddress } from "../../src/device/tap/party.ts";
import { dotted } from "../support/ping.ts";
import { firstPath, membersOf, type Path } from "./support/classic_logs.ts";
import { needing, run, scratchDirectory } from "./support/program.ts";
import { assertAllAnswered } from "./support/tools.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

/** The packets in a capture file, as tcpdump prints them. */
async function packetsIn(path: string): Promise<string[]> {
  const { code, stdout, stderr } = await run("tcpdump", ["-n", "-t", "-r", path]);
  assert.equal(code, 0, stderr);
  // tcpdump names the file, and reports no error.
  assert.match(stderr, /^reading from file \S+, link-type IPV4 \(Raw IPv4\).*\n$/);
  return stdout.split("\n").filter(Boolean);
}

/** The packets in all files of a directory, by file name without suffix. */
async function filesIn(directory: string): Promise<Record<string, string[]>> {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  const read = names.map(async (name) => {
    assert.match(name, /\.pcapng$/);
    return [name.replace(/\.pcapng$/, ""), await packetsIn(`${directory}/${name}`)] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

/** The files of a run with three routers, all empty. */
const EMPTY: Readonly<Record<string, string[]>> = Object.fromEntries(
  [
    ...["proxy-router1", "proxy-router2", "proxy-router3", "router1-router2", "router1-router3"],
    ...["router2-router3", "tunnel"],
    ...[1, 2, 3].flatMap((number) => [`router${number}.inside`, `router${number}.world`]),
  ].map((name) => [name, []]),
);

/** An echo request and its reply, as tcpdump prints them. */
function pingBetween(one: string, other: string): string[] {
  return [`IP ${one} > ${other}: ICMP echo request`, `IP ${other} > ${one}: ICMP echo reply`];
}

/** `count` cells between two members, alternately each way. */
function cellsBetween(one: number, other: number, count: number): string[] {
  const [from, to] = [one, other].map((party) => dotted(partyAddress(party)));
  return Array.from(
    { length: count },
    (_, at) => at % 2 === 0 ? `IP ${from} > ${to}: UDP` : `IP ${to} > ${from}: UDP`,
  );
}

/**
 * The packets without a final destroy cell, which may be missing. The other cells on a link come in
 * pairs.
 */
function withoutGoodbye(packets: readonly string[]): readonly string[] {
  return packets.length % 2 === 0 ? packets : packets.slice(0, -1);
}

/** The expected files after one ping by a circuit of two out of three routers. */
function filesAfter([first, last]: Path, isSealed: boolean): Record<string, string[]> {
  const [near, far] = [first!.number, last!.number];
  const [lower, higher] = [near, far].toSorted();
  // The exit of a sealed circuit does not know the client.
  const sender = isSealed ? "0.0.0.0" : first!.address;
  const sealed = `IP ${dotted(partyAddress(near))} > ${dotted(partyAddress(near))}: ip-proto-253 108`;
  return {
    ...EMPTY,
    tunnel: pingBetween(Address.vm, Address.csail),
    // One cell to create, one to extend, one with the ping, and a reply to each.
    [`proxy-router${near}`]: cellsBetween(0, near, 6),
    [`router${lower}-router${higher}`]: cellsBetween(near, far, 4),
    [`router${near}.inside`]: isSealed
      ? [sealed, sealed]
      // Before the source is replaced, and after it is restored.
      : pingBetween(Address.vm, Address.csail),
    [`router${far}.inside`]: pingBetween(sender, Address.csail),
    [`router${far}.world`]: pingBetween(last!.address, Address.csail),
  };
}

for (const [stage, isSealed] of [[5, false], [6, true]] as const) {
  Deno.test({
    ...needing(
      `stage ${stage} with --pcap: writes a file for each link and each party`,
      ...VM_NEEDS,
      "tcpdump",
    ),
    fn: async () => {
      await using vm = await Vm.up();
      using scratch = scratchDirectory();
      const directory = `${scratch.path}/captures`;
      await using onion = await vm.stage(stage, `--routers 3 --hops 2 --pcap ${directory}`);
      const path = await firstPath(onion, stage, await membersOf(onion, stage, 3), 2);
      assertAllAnswered(await vm.ping(`-I ${Address.vm} -c 1 ${Address.csail}`), 1);
      await endWell(onion);
      const files = Object.entries(await filesIn(directory)).map(([name, packets]) =>
        // Without ports, identifiers, sequence numbers and lengths.
        [
          name,
          withoutGoodbye(packets).map((line) =>
            line.replace(/(\d+\.\d+\.\d+\.\d+)\.\d+/g, "$1").replace(/,.*$/, "").replace(/ +/g, " ")
          ),
        ] as const
      );
      assert.deepEqual(Object.fromEntries(files), filesAfter(path, isSealed));
    },
  });
}

Deno.test({
  ...needing("stage 4 with --pcap: records what each router sees of three hosts", ...VM_NEEDS, "tcpdump"),
  fn: async () => {
    await using vm = await Vm.up();
    using scratch = scratchDirectory();
    await using onion = await vm.stage(4, `--routers 3 --pcap ${scratch.path}`);
    for (const last of [1, 2, 3]) {
      assertAllAnswered(await vm.ping(`-I ${Address.vm} -c 2 -i 0.5 -s 4000 128.30.3.${last}`), 2);
    }
    await endWell(onion);
    const files = await filesIn(scratch.path);
    const { tunnel } = files;
    assert.deepEqual(Object.keys(files).sort(), Object.keys(EMPTY).sort());
    // Each ping is three fragments on the tunnel, each way.
    assert.equal(tunnel!.length, 3 * 2 * 2 * 3);
    for (const number of [1, 2, 3]) {
      const world = files[`router${number}.world`]!;
      assert.deepEqual(
        world.map((line) => line.replace(/, .*$/, "")),
        [...new Set(world.map((line) => /128\.30\.3\.\d/.exec(line)![0]))].flatMap((host) =>
          Array(2).fill(pingBetween(`192.168.20${number}.2`, host)).flat()
        ),
      );
      assert.equal(world.length, 4);
    }
  },
});
