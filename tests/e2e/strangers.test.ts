/**
 * Datagrams of a local user without privileges, and duplicates: the run counts them, and goes on.
 *
 * ```
 *                       control ports, data ports
 *   nobody ──► garbage, forged and recorded datagrams ──► proxy, routers ──► they go on
 * ```
 */
import assert from "node:assert/strict";
import { CellType } from "../../src/cell/cell.ts";
import { FrameCodec, FrameKind, makeSessionKey } from "../../src/control/frame.ts";
import { Random } from "../support/random.ts";
import { Capture, Recording } from "./support/capture.ts";
import { membersOf } from "./support/classic_logs.ts";
import { needingNobodysDeno } from "./support/nobody.ts";
import { needing } from "./support/program.ts";
import { shoot, type Shot, squat, udpPorts } from "./support/stranger.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

const LOOPBACK = { address: "127.0.0.1" };
const OTHER_LOOPBACK = { address: "127.0.0.2" };

/** Noise with lengths around those of headers, and of the max length. */
function garbage(): Uint8Array[] {
  const random = new Random(6);
  return [0, 1, 7, 8, 9, 39, 40, 41, 1400, 65_507].map((length) => {
    const bytes = new Uint8Array(length);
    random.fill(bytes);
    return bytes;
  });
}

/** Cells of known and unknown types, on known and unknown circuits. */
function forgedCells(): Uint8Array[] {
  return [...Object.values(CellType), 0x00, 0x91, 0xff].flatMap((type) =>
    [0x01, 0x02, 0x101, 0x201, 0x301, 0xffff_ffff].map((circuit) => {
      const cell = new Uint8Array(100);
      new DataView(cell.buffer).setUint32(0, type << 24);
      new DataView(cell.buffer).setUint32(4, circuit);
      return cell;
    })
  );
}

/** Control frames for the proxy, 0, or a router, in which everything is right except the key. */
async function forgedFrames(to: number, routers: number): Promise<Uint8Array[]> {
  const stranger = await FrameCodec.of(makeSessionKey());
  const others = to === 0 ? Array.from({ length: routers }, (_, at) => at + 1) : [0];
  const messages = to === 0
    ? [{ type: "failed", message: "!" }, { type: "alive", counters: {}, rejected: 0 }] as const
    : [{ type: "stop" }] as const;
  return await Promise.all(others.flatMap((from) => [
    ...messages.map((message) => stranger.seal({ kind: FrameKind.message, from, to, sequence: 4, message })),
    stranger.seal({ kind: FrameKind.acknowledgement, from, to, sequence: 3 }),
  ]));
}

for (
  const { stage, args } of [
    { stage: 4, args: "--routers 3" },
    { stage: 5, args: "--routers 3 --hops 2" },
    { stage: 6, args: "--routers 3 --hops 2" },
  ]
) {
  Deno.test({
    ...needingNobodysDeno(
      `stage ${stage}: counts what strangers send to any port, and goes on`,
      ...VM_NEEDS,
      "tcpdump",
    ),
    fn: async () => {
      await using vm = await Vm.up();
      await using recording = await Recording.start(vm.lab);
      await using onion = await vm.stage(stage, args);
      const { routers: pids } = await onion.ready();
      const { proxyPort, routers } = await membersOf(onion, stage, 3);
      /** The data port and control port of each member, the proxy first. */
      const data = [proxyPort, ...routers.map(({ port }) => port)];
      const control = [onion.pid, ...pids].map((pid, party) => {
        const others = udpPorts(pid).filter((port) => port !== data[party]);
        assert.equal(others.length, 1, `party ${party} has one control port`);
        return others[0]!;
      });
      const quick = `-I ${Address.vm} -i 0.01`;
      await vm.pings(20, `${quick} ${Address.csail}`);
      const recorded = await recording.datagrams();
      assert.ok(
        recorded.some(({ to }) => control.includes(to)) && recorded.some(({ to }) => data.includes(to)),
      );

      const shots = await Promise.all([0, 1, 2, 3].map(async (party) => {
        const again = (port: number) =>
          recorded.filter(({ to }) => to === port).map(({ payload }) => payload);
        const toData = [...garbage(), ...forgedCells(), ...again(data[party]!)];
        return {
          data: [
            ...toData.map((payload): Shot => ({ from: LOOPBACK, to: data[party]!, payload })),
            ...toData.map((payload): Shot => ({ from: OTHER_LOOPBACK, to: data[party]!, payload })),
          ],
          control: [...garbage(), ...await forgedFrames(party, 3)].map((payload): Shot => ({
            from: LOOPBACK,
            to: control[party]!,
            payload,
          })),
          // These are authentic duplicates. Whether they are counted is not specified.
          replayed: again(control[party]!).map((payload): Shot => ({
            from: LOOPBACK,
            to: control[party]!,
            payload,
          })),
        };
      }));
      await Promise.all([
        vm.pings(100, `${quick} ${Address.csail}`),
        shoot(vm.lab, shots.flatMap(({ data, control, replayed }) => [...data, ...control, ...replayed])),
      ]);
      // Reaches every router in a stage where the destination selects one.
      for (const last of [1, 2, 3]) await vm.pings(5, `${quick} 128.30.3.${last}`);
      const { stdout } = await endWell(onion);
      const said = stdout.trimEnd().split("\n");
      for (const [party, { data, control }] of shots.entries()) {
        const name = party === 0 ? "proxy" : `router ${party}`;
        const about = said.filter((line) => line.startsWith(`${name}: dropped `));
        assert.deepEqual(about, [`${name}: dropped ${data.length} unknown-peer: a datagram from a stranger`]);
        assert.ok(
          said.includes(`${name}: ignored ${control.length} forged or garbled control datagrams`),
          stdout,
        );
      }
    },
  });
}

/** Addresses and interfaces of the VM on which a stranger may try to bind a member's port. */
const WAYS = ["127.0.0.1", "127.0.0.2", "0.0.0.0", Address.vm].flatMap((address) =>
  ["", "eth0", "tun1"].map((device) => ({ address, device }))
);

Deno.test({
  ...needingNobodysDeno(
    "data link: a stranger cannot bind a member's port on any address or interface",
    ...VM_NEEDS,
  ),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.stage(6, "--routers 2 --hops 1");
    const { proxyPort, routers } = await membersOf(onion, 6, 2);
    const ports = [proxyPort, ...routers.map(({ port }) => port)];
    const wanted = ports.flatMap((port) => WAYS.map((way) => ({ ...way, port })));
    assert.deepEqual(await squat(vm.lab, wanted), wanted.map(() => "EADDRINUSE"));
    await endWell(onion);
  },
});

Deno.test({
  ...needing("data link: the kernel drops datagrams from outside, uncounted", ...VM_NEEDS, "tcpdump"),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.stage(6, "--routers 2 --hops 1");
    const { proxyPort, routers } = await membersOf(onion, 6, 2);
    const ports = [proxyPort, ...routers.map(({ port }) => port)];
    {
      await using eth0 = await Capture.start(vm.lab, {
        party: "vm",
        interface: "eth0",
        answers: Address.gw0,
      });
      const sent = ports.flatMap((port) =>
        garbage().slice(0, -1).map((bytes) => ({ port, hex: bytes.toHex() }))
      );
      const { code, stderr } = await vm.lab.run(
        "gw0",
        ...[Deno.execPath(), "eval", "--unstable-net", OUTSIDER, Address.vm, JSON.stringify(sent)],
      );
      assert.equal(code, 0, stderr);
      // They arrived, and nothing counted them.
      const passed = await eth0.packets();
      assert.equal(passed.filter((line) => line.includes(`> ${Address.vm}.`)).length, sent.length);
      assert.equal(passed.length, sent.length);
    }
    await vm.pings(5, `-I ${Address.vm} -i 0.01 ${Address.csail}`);
    const { stdout } = await endWell(onion);
    assert.doesNotMatch(stdout, / dropped | ignored /);
  },
});

/** Sends datagrams to ports of a host. */
const OUTSIDER = `
  const [hostname, datagrams] = Deno.args;
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
  for (const { port, hex } of JSON.parse(datagrams)) {
    await socket.send(Uint8Array.fromHex(hex), { transport: "udp", hostname, port });
  }
  socket.close();
`;

/** Duplicates every datagram on loopback. */
const TWICE = `
  nft add table ip twice
  nft 'add chain ip twice out { type filter hook output priority 0; }'
  nft add rule ip twice out ip daddr 127.0.0.1 meta l4proto udp dup to 127.0.0.1 device lo
`;

/** Like `needing`, for a test that needs {@linkcode TWICE} from the kernel. */
function needingTwice(name: string): { name: string; ignore: boolean } {
  const start = needing(name, ...VM_NEEDS, "unshare");
  if (start.ignore) return start;
  const args = ["--net", "sh", "-euc", `ip link set lo up; ${TWICE}`];
  if (new Deno.Command("unshare", { args, stderr: "null" }).outputSync().success) return start;
  return { name: `${name} (needs a kernel that duplicates packets)`, ignore: true };
}

Deno.test({
  ...needingTwice("stage 6: takes each datagram once where every one arrives twice"),
  fn: async () => {
    await using vm = await Vm.up();
    await vm.sh(TWICE);
    await using onion = await vm.stage(6, "--routers 6 --hops 5");
    await vm.pings(50, `-I ${Address.vm} -i 0.02 ${Address.csail}`);
    await vm.pings(3, `-I ${Address.vm} -i 0.02 -s 20000 ${Address.csail}`);
    const { stdout } = await endWell(onion);
    const drops = stdout.match(/^.*: dropped .*$/gm) ?? [];
    assert.ok(drops.some((drop) => /^proxy: dropped \d+ replayed: /.test(drop)), stdout);
    assert.deepEqual(drops.filter((drop) => !/ dropped \d+ (replayed|unexpected-cell): /.test(drop)), []);
  },
});
