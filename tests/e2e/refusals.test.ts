/**
 * A run that cannot start says why: one line with cause and remedy, and the exit code of the
 * manual. It leaves nothing behind.
 */
import assert from "node:assert/strict";
import { Namespace } from "./support/namespace.ts";
import { AS_NOBODY, needingNobody, NOBODY_ID } from "./support/nobody.ts";
import { type End, Onion } from "./support/onion.ts";
import { needing, ONION, run, scratchDirectory } from "./support/program.ts";
import { snapshot } from "./support/snapshot.ts";

const STAGE_2 = ["--stage", "2"];

/** A start that must be refused. */
interface Refusal {
  /** Prepares the namespace. */
  readonly prepare?: (namespace: Namespace) => Promise<unknown>;
  readonly args?: readonly string[];
  readonly via?: readonly string[];
  readonly code: number;
  /** All of stderr. */
  readonly line: RegExp;
}

/** A prefix that runs a command line in a mount namespace that this shell script has changed. */
const withMounts = (script: string) => ["unshare", "--mount", "sh", "-euc", `${script}\nexec "$@"`, "sh"];

/**
 * Hides the program `ip` by an overlay with whiteouts, which are character devices with the number
 * 0.
 */
const WITHOUT_IP = withMounts(`
  mount -t tmpfs tmpfs /mnt
  mkdir -p /mnt/upper/bin /mnt/upper/sbin /mnt/work
  for name in bin/ip sbin/ip; do mknod "/mnt/upper/$name" c 0 0; done
  mount -t overlay -o lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/work overlay /usr
`);

const REFUSALS: Readonly<Record<string, Refusal>> = {
  "a privilege is missing, though root asks": {
    via: ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"],
    code: 3,
    line: /^onion: not permitted to open a TUN interface; run it as root: sudo onion …\n$/,
  },
  "there is no /dev/net/tun": {
    via: withMounts("mount -t tmpfs tmpfs /dev/net"),
    code: 4,
    line:
      /^onion: \/dev\/net\/tun is missing; load the driver with `modprobe tun`, or in a container start it with --device \/dev\/net\/tun\n$/,
  },
  "the program ip is missing": {
    via: WITHOUT_IP,
    code: 4,
    line: /^onion: the program ip is missing; install iproute2, e\.g\. `apt-get install iproute2`\n$/,
  },
  "the loopback interface is down, as in a new network namespace": {
    prepare: async (namespace) => {
      await namespace.ip("link", "set", "lo", "down");
      await namespace.ip("address", "flush", "dev", "lo");
    },
    code: 4,
    line: /^onion: the loopback interface is down; run `ip link set lo up`\n$/,
  },
  "the address is another interface's": {
    prepare: async (namespace) => {
      await namespace.ip("tuntap", "add", "dev", "other0", "mode", "tun");
      await namespace.ip("address", "add", "10.5.51.2/30", "dev", "other0");
    },
    code: 1,
    line: /^onion: 10\.5\.51\.2 is taken: other0 has 10\.5\.51\.2\/30; choose another with --address\n$/,
  },
  "a part of the block is another interface's": {
    prepare: async (namespace) => {
      await namespace.ip("tuntap", "add", "dev", "other0", "mode", "tun");
      await namespace.ip("address", "add", "10.5.51.129/25", "dev", "other0");
    },
    code: 1,
    line:
      /^onion: 10\.5\.51\.2\/24 is taken: other0 has 10\.5\.51\.129\/25; choose another with --address\n$/,
  },
  "the name is a TAP interface's": {
    prepare: (namespace) => namespace.ip("tuntap", "add", "dev", "tun1", "mode", "tap"),
    code: 1,
    line:
      /^onion: cannot attach to TUN device "tun1": ioctl failed: EINVAL; an interface of another kind has this name: choose another with --tun\n$/,
  },
  "the name is the loopback's": {
    args: ["--tun", "lo"],
    code: 1,
    line:
      /^onion: cannot attach to TUN device "lo": ioctl failed: EINVAL; an interface of another kind has this name: choose another with --tun\n$/,
  },
  "the directory for the log files cannot be written": {
    via: withMounts("mount -t tmpfs -o ro tmpfs /mnt"),
    args: ["--log-dir", "/mnt"],
    code: 1,
    line:
      /^onion: cannot write the log file \/mnt\/stage2\.proxy\.out: Read-only file system.*; choose another directory with --log-dir\n$/,
  },
  "the directory for captures cannot be made": {
    args: ["--pcap", "/dev/null/captures"],
    code: 1,
    line:
      /^onion: cannot write captures to \/dev\/null\/captures: Not a directory.*; choose another directory with --pcap\n$/,
  },
  "the directory for captures cannot be written": {
    via: withMounts("mount -t tmpfs -o ro tmpfs /mnt"),
    args: ["--pcap", "/mnt"],
    code: 1,
    line:
      /^onion: cannot write captures to \/mnt: Read-only file system.*; choose another directory with --pcap\n$/,
  },
  "the journal cannot be written": {
    prepare: (namespace) => namespace.ip("tuntap", "add", "dev", "tun1", "mode", "tun"),
    via: withMounts("mount -t tmpfs -o ro tmpfs /run"),
    code: 1,
    line:
      /^onion: cannot write the journal \/run\/onion\/\d+\.journal: Read-only file system.*; make \/run writable: onion changes nothing that it could not undo\n$/,
  },
};

for (const [name, { prepare, args = [], via, code, line }] of Object.entries(REFUSALS)) {
  Deno.test({
    ...needing(`refused: ${name}`, "namespaces", "setpriv"),
    fn: async () => {
      await using namespace = await Namespace.make();
      await prepare?.(namespace);
      const before = await snapshot(namespace);
      await using onion = await Onion.start([...STAGE_2, ...args], { namespace, ...(via && { via }) });
      const end = await onion.ended;
      assertRefused(end, code, line);
      await onion.gone;
      assert.deepEqual(await snapshot(namespace), before);
    },
  });
}

/** The message if another process is attached. */
const BUSY =
  /^onion: cannot attach to TUN device "tun1": ioctl failed: EBUSY; another program uses it: end that one, or choose another name with --tun\n$/;

function assertRefused({ code, stdout, stderr }: End, expected: number, line: RegExp): void {
  assert.match(stderr, line);
  assert.equal(stderr.indexOf("\n"), stderr.length - 1, `one line: ${stderr}`);
  assert.deepEqual([code, stdout], [expected, ""]);
}

Deno.test({
  ...needingNobody("refused: a TUN interface for a user without privileges"),
  fn: async () => {
    using scratch = scratchDirectory();
    Deno.chownSync(scratch.path, NOBODY_ID, NOBODY_ID);
    await using onion = await Onion.start(STAGE_2, {
      via: AS_NOBODY,
      directory: scratch.path,
      env: { ONION_CACHE_DIR: scratch.path },
    });
    assertRefused(
      await onion.ended,
      3,
      /^onion: not permitted to open a TUN interface; run it as root: sudo onion …\n$/,
    );
  },
});

Deno.test({
  ...needing("refused: one of two runs that start at once", "root"),
  fn: async () => {
    await using namespace = await Namespace.make({ ipv6: false });
    const before = await snapshot(namespace);
    const start = () => Onion.start(STAGE_2, { namespace });
    const [one, other] = await Promise.all([start(), start()]);
    await using _one = one;
    await using _other = other;
    const [winner, loser] = await Promise.race([
      one.ended.then(() => [other, one] as const),
      other.ended.then(() => [one, other] as const),
    ]);
    assertRefused(await loser.ended, 1, BUSY);
    await winner.ready();
    assert.equal((await winner.end()).code, 0);
    assert.deepEqual(await snapshot(namespace), before);
  },
});

Deno.test({
  ...needing("refused: another run's TUN interface, and that run goes on", "root", "ping"),
  fn: async () => {
    await using namespace = await Namespace.make();
    await using first = await Onion.start(STAGE_2, { namespace });
    await first.ready();
    const before = await snapshot(namespace);
    await using second = await Onion.start(STAGE_2, { namespace });
    assertRefused(
      await second.ended,
      1,
      BUSY,
    );
    await second.gone;
    assert.deepEqual(await snapshot(namespace), before);
    assert.equal((await namespace.run("ping", "-c", "1", "-w", "5", "10.5.51.7")).code, 0);
    assert.equal((await first.end()).code, 0);
  },
});

for (
  const [args, line] of [
    [["--stage", "12"], "onion: there is no stage 12; stages go from 1 to 9\n"],
    [["--bogus"], "onion: unknown option --bogus; see onion --help\n"],
    [
      ["--stage", "2", "--adress", "10.0.0.1/8"],
      "onion: unknown option --adress; did you mean --address? see onion --help\n",
    ],
    [["--stage"], "onion: --stage needs a value; write --stage N\n"],
    [
      ["--stage", "1", "--log-dir", "/dev/null/absent"],
      "onion: --log-dir /dev/null/absent: no such directory; create it, or choose another\n",
    ],
    [
      ["--stage", "6", "--routers", "4", "--hops", "4"],
      "onion: --hops 4: stage 6 with 4 routers has 1 to 3 hops; choose a number from 1 to 3\n",
    ],
    [
      ["--stage", "5", "--hops", "0"],
      "onion: --hops 0: stage 5 with 4 routers has 1 to 3 hops; choose a number from 1 to 3\n",
    ],
    [
      ["--stage", "6", "--routers", "7"],
      "onion: --routers 7: stage 6 has 2 to 6 routers; choose a number from 2 to 6\n",
    ],
    [
      ["--stage", "5", "--routers", "1"],
      "onion: --routers 1: stage 5 has 2 to 6 routers; choose a number from 2 to 6\n",
    ],
    [
      ["--stage", "4", "--routers", "0"],
      "onion: --routers 0: stage 4 has 1 to 6 routers; choose a number from 1 to 6\n",
    ],
    [
      ["--stage", "4", "--hops", "2"],
      "onion: --hops 2: stage 4 has exactly 1 hop; leave it out, or write --hops 1\n",
    ],
    [
      ["--stage", "4", "--circuit-lifetime", "60"],
      "onion: --circuit-lifetime has no effect in stage 4; leave it out, or run stages 5 and 6\n",
    ],
    [
      ["--stage", "6", "--circuit-lifetime", "9"],
      "onion: --circuit-lifetime 9: out of range; choose a number from 10 to 604800\n",
    ],
    [
      ["--stage", "6", "--link-mtu", "100"],
      "onion: --link-mtu 100: out of range; choose a number from 1280 to 65535\n",
    ],
    [["--stage", "7"], "onion: stage 7 is not in this version; it runs stages 1, 2, 3, 4, 5 and 6\n"],
    [["router"], "onion: only the proxy starts `onion router`; run `onion --stage 2`\n"],
  ] as const
) {
  Deno.test(`refused: onion ${args.join(" ")}`, async () => {
    assert.deepEqual(await run(ONION, [...args]), { code: 2, stdout: "", stderr: line });
  });
}

Deno.test("refused: a wrong command line leaves no router, though one was started early", async () => {
  const mark = crypto.randomUUID();
  const { code } = await run(ONION, ["--stage", "99"], { env: { ONION_TEST_MARK: mark } });
  assert.equal(code, 2);
  const left = [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).filter(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/${name}/environ`).includes(mark);
    } catch {
      return false; // ended, or another user's
    }
  });
  assert.deepEqual(left, []);
});
