/**
 * The doctor on real hosts: it predicts what a run meets, needs no root, and changes nothing.
 */
import assert from "node:assert/strict";
import { STAGES } from "../../src/config/stages.ts";
import type { Diagnosis } from "../../src/host/diagnosis.ts";
import { Namespace } from "./support/namespace.ts";
import { AS_NOBODY, needingNobody, NOBODY_ID } from "./support/nobody.ts";
import { Onion } from "./support/onion.ts";
import { type Ended, needing, ONION, run, scratchDirectory } from "./support/program.ts";
import { snapshot } from "./support/snapshot.ts";

/** The doctor's findings about this host, and its exit code. */
async function diagnosis(namespace: Namespace): Promise<Diagnosis & { readonly code: number }> {
  const { code, stdout, stderr } = await namespace.run(ONION, "doctor", "--json");
  assert.equal(stderr, "");
  assert.match(stdout, /^\{.*\}\n$/, "one object on one line");
  return { code, ...JSON.parse(stdout) };
}

/** The missing things by stage. */
const lacks = ({ stages }: Diagnosis) => stages.map((each) => each.lacks);

Deno.test({
  ...needing(
    "doctor: names what a host lacks until nothing is missing, and then every stage runs",
    "root",
    "ip",
  ),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    await namespace.ip("link", "set", "lo", "down");
    const bare = await diagnosis(namespace);
    assert.deepEqual([bare.code, lacks(bare)], [
      4,
      STAGES.map(({ captures }) => captures ? ["loopback", "captured"] : ["loopback"]),
    ]);

    await namespace.ip("link", "set", "lo", "up");
    await namespace.ip("link", "add", "eth0", "type", "veth", "peer", "name", "gw0");
    await namespace.ip("link", "set", "gw0", "up");
    await namespace.ip("address", "add", "10.0.2.15/24", "dev", "eth0");
    await namespace.ip("link", "set", "eth0", "up");
    await namespace.ip("route", "add", "default", "via", "10.0.2.2");
    await namespace.ip("tuntap", "add", "dev", "tun1", "mode", "tap");
    const tap = await diagnosis(namespace);
    assert.deepEqual([tap.code, lacks(tap)], [
      4,
      STAGES.map(({ traffic }) => traffic ? ["TUN interface"] : []),
    ]);

    await namespace.ip("tuntap", "delete", "dev", "tun1", "mode", "tap");
    const before = await snapshot(namespace);
    const sound = await diagnosis(namespace);
    assert.deepEqual([sound.code, lacks(sound)], [0, STAGES.map(() => [])]);
    assert.deepEqual(await snapshot(namespace), before, "and nothing has been changed");
    for (const { number, captures } of STAGES) {
      await using onion = await Onion.start(["--stage", `${number}`], { namespace });
      await onion.ready();
      if (captures) {
        const busy = await diagnosis(namespace);
        assert.deepEqual([busy.code, lacks(busy)[0], lacks(busy)[1]], [4, [], ["TUN interface"]]);
        for (const lack of lacks(busy).slice(2)) {
          assert.ok(lack.includes("other runs"), "its rule is not one to build on");
        }
      }
      assert.equal((await onion.end()).code, 0);
    }

    // The doctor reports what a killed run left; then it is undone.
    await using victim = await Onion.start(["--stage", "3"], { namespace });
    await victim.ready();
    victim.kill("SIGKILL");
    await victim.gone;
    const left = await diagnosis(namespace);
    const note = left.findings.find(({ name }) => name === "leftovers");
    assert.deepEqual([left.code, note?.mark, note?.mend], [0, "note", "sudo onion down"]);
    assert.match(note!.says, /rule from 10\.0\.2\.15 to table 9/);
    assert.equal((await namespace.run(ONION, "down")).code, 0);
    assert.deepEqual(await snapshot(namespace), before);
  },
});

Deno.test({
  ...needing(
    "doctor: reports too few ephemeral ports, with a remedy that works",
    "root",
    "ip",
    "sysctl",
  ),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    const range = "echo 40000 40002 >/proc/sys/net/ipv4/ip_local_port_range";
    assert.equal((await namespace.run("sh", "-c", range)).code, 0);
    const tight = await diagnosis(namespace);
    assert.deepEqual(lacks(tight).slice(0, 2), [[], ["ports"]]);
    const { says, mend } = tight.findings.find(({ name, mark }) => name === "ports" && mark === "lacks")!;
    assert.match(says, /from 40000 to 40002, 3 are free, and proxy and routers need 4$/);
    await using refused = await Onion.start(["--stage", "2"], { namespace });
    const { code, stdout, stderr } = await refused.ended;
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /EADDRINUSE|Address (already )?in use/);

    assert.equal((await namespace.run("sh", "-c", mend!)).code, 0);
    await using onion = await Onion.start(["--stage", "2"], { namespace });
    await onion.ready();
    assert.equal((await onion.end()).code, 0);
  },
});

/** Runs the doctor as nobody. */
async function asNobody(directory: string): Promise<Ended> {
  const [command = "", ...args] = [...AS_NOBODY, ONION, "doctor"];
  return await run(command, args, { env: { ONION_CACHE_DIR: directory, NO_COLOR: "1" } });
}

Deno.test({
  ...needingNobody("doctor: needs no root, and says what only root could see", "ip"),
  fn: async () => {
    using scratch = scratchDirectory();
    Deno.chownSync(scratch.path, NOBODY_ID, NOBODY_ID);
    const { code, stdout, stderr } = await asNobody(scratch.path);
    assert.deepEqual([code, stderr], [4, ""]);
    assert.match(
      stdout,
      /^lacks {4}CAP_NET_ADMIN {2}may not change the network; run it as root: sudo onion …$/m,
    );
    assert.match(stdout, /^ok {7}ip +iproute2$/m);
    assert.match(
      stdout,
      /^(ok {7}leftovers +none|unknown {2}leftovers +only root may look; sudo onion doctor)$/m,
    );
    assert.match(stdout, /^stage 1: can run\nstage 2: cannot run: .*CAP_NET_ADMIN/m);
  },
});

Deno.test({
  ...needing(
    "doctor: a privilege that it misses stops a run too, before any change",
    "root",
    "ip",
    "setpriv",
  ),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    const before = await snapshot(namespace);
    const without = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"];
    const [setpriv = "", ...args] = [...without, ONION];
    assert.match(
      (await namespace.run(setpriv, ...args, "doctor")).stdout,
      /^lacks {4}CAP_NET_RAW {4}root may not /m,
    );
    assert.deepEqual(await namespace.run(setpriv, ...args, "--stage", "3"), {
      code: 3,
      stdout: "",
      stderr: "onion: not permitted to open a raw ICMP socket; run it as root: sudo onion …\n",
    });
    assert.deepEqual(await snapshot(namespace), before);
  },
});
