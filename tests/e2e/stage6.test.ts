/**
 * Stage 6 with the real executable and real tools, in the practice network: what is special about
 * sealed circuits.
 */
import assert from "node:assert/strict";
import { LIBCRYPTO } from "../../src/sys/libcrypto.ts";
import { Capture, characters, Recording } from "./support/capture.ts";
import { firstPath, logFile, membersOf } from "./support/classic_logs.ts";
import { needing } from "./support/program.ts";
import { Address, endWell, Vm, VM_NEEDS } from "./support/vm.ts";

/** What no party between the two ends of a ping may read, in hex. */
const SECRETS = {
  data: "c0ffee5ec4e7c0ded15ea5ed",
  source: "0a00020f", // 10.0.2.15
  destination: "801e029b", // 128.30.2.155
} as const;

/**
 * What can be read between the members by stage. Stage 5 proves that this test would find
 * everything.
 */
const READABLE = [
  { stage: 5, name: "stage 5: everything can be read between the members", readable: Object.keys(SECRETS) },
  { stage: 6, name: "stage 6: nothing of a ping can be read between the members", readable: [] },
];

for (const { stage, name, readable } of READABLE) {
  Deno.test({
    ...needing(name, ...VM_NEEDS, "tcpdump"),
    fn: async () => {
      await using vm = await Vm.up();
      await using recording = await Recording.start(vm.lab);
      await using eth0 = await Capture.start(vm.lab, {
        party: "vm",
        interface: "eth0",
        answers: Address.gw0,
      });
      // The recording includes the first handshake.
      await using onion = await vm.onion(["--stage", `${stage}`, "--routers", "6", "--hops", "5"]);
      await onion.ready();
      for (const size of [56, 1472]) {
        await vm.pings(
          5,
          `-I ${Address.vm} -i 0.05 -s ${size} -p ${SECRETS.data} ${Address.csail}`,
        );
      }
      const bytes = await recording.bytes();
      // Ten pings, each over five links both ways.
      assert.ok(bytes.length > 10 * 2 * 5 * (56 + 1472) / 2, `${bytes.length} bytes`);
      const text = characters(bytes);
      const found = Object.entries(SECRETS).flatMap(([what, hex]) => {
        const at = text.indexOf(characters(Uint8Array.fromHex(hex)));
        return at < 0 ? [] : [{ what, around: bytes.slice(Math.max(0, at - 100), at + 100).toHex() }];
      });
      assert.deepEqual(found.map(({ what }) => what), readable, JSON.stringify(found));
      assert.deepEqual(await eth0.packets(), []);
      await endWell(onion);
    },
  });
}

Deno.test({
  ...needing("stage 6: replaces a circuit before its lifetime ends, and loses no ping", ...VM_NEEDS),
  fn: async () => {
    await using vm = await Vm.up();
    await using onion = await vm.onion(["--stage", "6", "--circuit-lifetime", "10"]);
    await onion.ready();
    await firstPath(onion, 6, await membersOf(onion, 6, 4), 3);
    // Circuits live ten seconds, and are replaced one second before. So at least two are replaced.
    await vm.pings(420, `-w 40 -I ${Address.vm} -i 0.05 ${Address.csail}`);
    const { stdout } = await endWell(onion);
    assert.doesNotMatch(stdout, / dropped /);
    const log = onion.log(logFile(6, "proxy"));
    const circuits = log.flatMap((line) =>
      /^incoming packet, circuit incoming: (\S+), /.exec(line)?.[1] ?? []
    );
    assert.deepEqual([...new Set(circuits)], ["0x01", "0x02", "0x03"]);
    assert.deepEqual(circuits, circuits.toSorted(), "once replaced, a circuit is left to itself");
    assert.equal(log.filter((line) => line.startsWith("hop: 1, ")).length, 3);
  },
});

/** A prefix that hides every libcrypto of the dynamic linker under an empty file. */
const WITHOUT_LIBCRYPTO = [
  "unshare",
  "--mount",
  "sh",
  "-euc",
  `
    paths=$(ldconfig -p | sed -n 's/^.*${LIBCRYPTO} .*=> //p')
    for path in $paths; do mount -n --bind /dev/null "$path"; done
    exec "$@"
  `,
  "sh",
];

Deno.test({
  ...needing("stage 6: seals without libcrypto too", ...VM_NEEDS, "unshare", "ldconfig"),
  fn: async () => {
    await using vm = await Vm.up();
    for (const via of [[], WITHOUT_LIBCRYPTO]) {
      await using onion = await vm.stage(6, "", { via });
      const { routers } = await onion.ready();
      await vm.pings(20, `-I ${Address.vm} -i 0.01 ${Address.csail}`);
      await vm.pings(2, `-I ${Address.vm} -i 0.01 -s 20000 ${Address.csail}`);
      for (const pid of [onion.pid, ...routers]) {
        const maps = Deno.readTextFileSync(`/proc/${pid}/maps`);
        assert.equal(maps.includes(LIBCRYPTO), via.length === 0, `process ${pid}`);
      }
      const { stdout } = await endWell(onion);
      assert.doesNotMatch(stdout, / dropped /);
    }
  },
});
