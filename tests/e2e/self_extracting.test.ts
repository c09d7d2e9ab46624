/**
 * The shell script of the self-extracting executable, which runs before the program. Each test has
 * its own cache.
 *
 *     ./onion ──► cache/onion/sha256-… there, ours, closed to others? ──► exec
 *                   │ no                                              ▲
 *                   └─► .unpacking.PID ──► checked ──► renamed ───────┘
 */
import assert from "node:assert/strict";
import {
  EXTRACTED_VERSION as VERSION,
  needing,
  run,
  scratchDirectory,
  selfExtractingOnion,
} from "./support/program.ts";

/** A new cache, and the executable. */
async function setUp() {
  const scratch = scratchDirectory();
  return {
    onion: await selfExtractingOnion(),
    /** The cache's parent, which ONION_CACHE_DIR names, and the cache. */
    parent: scratch.path,
    cache: `${scratch.path}/onion`,
    env: { ONION_CACHE_DIR: scratch.path },
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  };
}

/** The sorted names in a directory. */
const names = (directory: string) => [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
const mode = (path: string) => (Deno.lstatSync(path).mode ?? 0) & 0o777;

Deno.test("self-extracting: the first start unpacks into a private cache, and later starts use it", async () => {
  using here = await setUp();
  const { onion, cache, env } = here;
  assert.deepEqual(await run(onion, ["--version"], { env }), { code: 0, stdout: VERSION, stderr: "" });
  const [directory = "", ...others] = names(cache);
  assert.match(directory, /^sha256-[0-9a-f]{64}$/);
  assert.deepEqual(others, []);
  assert.equal(mode(cache), 0o700);
  assert.equal(mode(`${cache}/${directory}`), 0o700);
  assert.ok(names(`${cache}/${directory}`).includes("deno"), "V8's code cache is kept there too");

  const runtime = `${cache}/${directory}/onion`;
  const { ino, ctime } = Deno.statSync(runtime);
  assert.equal((await run(onion, ["--version"], { env })).stdout, VERSION);
  assert.deepEqual([Deno.statSync(runtime).ino, Deno.statSync(runtime).ctime], [ino, ctime]);
});

Deno.test("self-extracting: starts from any directory, in any environment", async (t) => {
  using here = await setUp();
  const { onion, parent, env } = here;
  // In a directory with an awkward name, inside other projects.
  const home = `${parent}/a home with $signs`;
  Deno.mkdirSync(`${home}/elsewhere`, { recursive: true });
  Deno.copyFileSync(onion, `${home}/onion`);
  Deno.symlinkSync("../onion", `${home}/elsewhere/link`);
  for (const file of ["deno.json", "package.json", ".npmrc"]) {
    Deno.writeTextFileSync(`${home}/${file}`, "{{{");
  }

  const calls: [string, string, Deno.CommandOptions][] = [
    ["by its absolute path", `${home}/onion`, {}],
    ["by a relative path", "./onion", { cwd: home }],
    ["by a relative path of another directory", "../onion", { cwd: `${home}/elsewhere` }],
    ["through PATH", "onion", { env: { PATH: `${home}:/usr/bin:/bin` } }],
    ["through a symbolic link", "./link", { cwd: `${home}/elsewhere` }],
    ["without PATH or HOME", `${home}/onion`, { clearEnv: true }],
    ["with a PATH that holds nothing", `${home}/onion`, { clearEnv: true, env: { PATH: "/nonexistent" } }],
    ["with options meant for Node.js", `${home}/onion`, { env: { NODE_OPTIONS: "--require /nonexistent" } }],
  ];
  for (const [how, command, options] of calls) {
    await t.step(how, async () => {
      const ended = await run("/usr/bin/env", [command, "--version"], {
        ...options,
        env: { ...env, ...options.env },
      });
      assert.deepEqual(ended, { code: 0, stdout: VERSION, stderr: "" });
    });
  }
  await t.step("by a shell", async () => {
    assert.equal((await run("sh", ["onion", "--version"], { env, cwd: home })).stdout, VERSION);
  });
  await t.step("and passes on arguments and exit code", async () => {
    const { code, stderr } = await run(`${home}/onion`, ["--stage", "1 '$2"], { env });
    assert.equal(code, 2);
    assert.match(stderr, /1 '\$2/);
  });
});

Deno.test("self-extracting: three simultaneous first starts work, and leave one copy", async () => {
  using here = await setUp();
  const { onion, cache, env } = here;
  const starts = await Promise.all([1, 2, 3].map(() => run(onion, ["--version"], { env })));
  for (const start of starts) assert.deepEqual(start, { code: 0, stdout: VERSION, stderr: "" });
  assert.equal(names(cache).length, 1);
});

Deno.test("self-extracting: a start that is killed while unpacking harms no later one", async () => {
  using here = await setUp();
  const { onion, cache, env } = here;
  Deno.mkdirSync(cache, { mode: 0o700 });
  const changes = Deno.watchFs(cache);
  const first = new Deno.Command(onion, { args: ["--version"], env, stdout: "piped", stderr: "piped" })
    .spawn();
  for await (const { paths } of changes) {
    // This is the pid of the shell, which would become the program.
    if (paths.some((path) => path.endsWith(`/.unpacking.${first.pid}`))) break;
  }
  first.kill("SIGKILL");
  // The pipes close when its last child is gone, which was not killed.
  assert.equal((await first.output()).signal, "SIGKILL");
  assert.deepEqual(names(cache), [`.unpacking.${first.pid}`]);

  assert.deepEqual(await run(onion, ["--version"], { env }), { code: 0, stdout: VERSION, stderr: "" });
  assert.equal(names(cache).filter((name) => !name.startsWith("sha256-")).join(), "");
});

Deno.test("self-extracting: a start that is ended while unpacking cleans up", async () => {
  using here = await setUp();
  const { onion, cache, env } = here;
  Deno.mkdirSync(cache, { mode: 0o700 });
  const changes = Deno.watchFs(cache);
  const child = new Deno.Command(onion, { args: ["--version"], env, stdout: "piped", stderr: "piped" })
    .spawn();
  for await (const { paths } of changes) {
    if (paths.some((path) => path.endsWith(`/.unpacking.${child.pid}`))) break;
  }
  child.kill("SIGTERM");
  const { code, stdout } = await child.output();
  assert.equal(code, 1);
  assert.equal(stdout.length, 0);
  assert.deepEqual(names(cache), []);
});

Deno.test("self-extracting: never runs a damaged payload", async (t) => {
  using here = await setUp();
  const { onion, parent, cache, env } = here;
  const whole = Deno.readFileSync(onion);
  const damaged = `${parent}/damaged`;
  const flipped = whole.slice();
  const middle = flipped.length >> 1;
  flipped[middle] = (flipped[middle] ?? 0) ^ 1;
  for (
    const [what, bytes] of [["one bit flipped", flipped], ["cut short", whole.subarray(0, middle)]] as const
  ) {
    await t.step(what, async () => {
      Deno.writeFileSync(damaged, bytes, { mode: 0o755 });
      const { code, stdout, stderr } = await run(damaged, ["--version"], { env });
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.match(
        stderr,
        /^onion: .*\/damaged is damaged: the SHA-256 of its payload is not [0-9a-f]{64}; get it anew\n$/,
      );
      assert.deepEqual(names(cache), []);
    });
  }
});

Deno.test("self-extracting: refuses a cache that others could have written to", async (t) => {
  using here = await setUp();
  const { onion, parent, cache, env } = here;
  const refusal = {
    code: 1,
    stdout: "",
    stderr:
      `onion: ${cache} must be a directory (and no link) that nobody else can write; remove it: rm -r '${cache}'\n`,
  };
  const start = () => run(onion, ["--version"], { env });

  Deno.mkdirSync(cache);
  for (const open of [0o777, 0o770, 0o702]) {
    await t.step(`before anything is unpacked there: mode ${open.toString(8)}`, async () => {
      Deno.chmodSync(cache, open);
      assert.deepEqual(await start(), refusal);
      assert.deepEqual(names(cache), []);
    });
  }

  Deno.chmodSync(cache, 0o755);
  assert.equal((await start()).stdout, VERSION, "others may read it");
  const [directory = ""] = names(cache);
  for (const path of [cache, `${cache}/${directory}`]) {
    for (const open of [0o777, 0o720, 0o702]) {
      await t.step(
        `with the program there: mode ${open.toString(8)} of ${path.slice(parent.length)}`,
        async () => {
          Deno.chmodSync(path, open);
          assert.deepEqual(await start(), refusal);
          Deno.chmodSync(path, 0o700);
        },
      );
    }
  }
  await t.step("a symbolic link", async () => {
    Deno.renameSync(cache, `${parent}/real`);
    Deno.symlinkSync("real", cache);
    assert.deepEqual(await start(), refusal);
    Deno.removeSync(cache);
    Deno.renameSync(`${parent}/real`, cache);
  });
  await t.step({
    ...needing("another user's", "root"),
    fn: async () => {
      Deno.chownSync(cache, 65534, 65534);
      const { code, stdout, stderr } = await start();
      assert.deepEqual([code, stdout], [4, ""]);
      assert.match(stderr, /^onion: found no directory to unpack itself into; set ONION_CACHE_DIR/);
      Deno.chownSync(cache, 0, 0);
      Deno.chownSync(`${cache}/${directory}`, 65534, 65534);
      assert.equal((await start()).code, 4);
    },
  });
});

Deno.test("self-extracting: removes other versions, unless they run or are new", async () => {
  using here = await setUp();
  const { onion, cache, env } = here;
  const anHourAgo = new Date(Date.now() - 61 * 60_000);
  for (const name of ["sha256-old", "sha256-running", "sha256-new", "precious"]) {
    Deno.mkdirSync(`${cache}/${name}`, { recursive: true });
  }
  Deno.chmodSync(cache, 0o700);
  Deno.copyFileSync("/bin/sleep", `${cache}/sha256-running/onion`);
  for (const name of ["sha256-old", "sha256-running", "precious"]) {
    Deno.utimeSync(`${cache}/${name}`, anHourAgo, anHourAgo);
  }
  const running = new Deno.Command(`${cache}/sha256-running/onion`, { args: ["infinity"] }).spawn();
  assert.deepEqual(await run(onion, ["--version"], { env }), { code: 0, stdout: VERSION, stderr: "" });
  running.kill();
  await running.status;
  const kept = names(cache).filter((name) => name.length < 64);
  assert.deepEqual(kept, ["precious", "sha256-new", "sha256-running"]);
});

/** Starts the executable in a new mount namespace, with its cache on a new file system. */
async function startOn(options: string) {
  using here = await setUp();
  const { onion, parent, env } = here;
  const script = `mount -t tmpfs -o "$1" tmpfs "$2" && exec "$3" --version`;
  return await run("unshare", ["--mount", "sh", "-c", script, "sh", options, parent, onion], { env });
}

Deno.test({
  ...needing("self-extracting: says what to do without space to unpack", "root", "namespaces"),
  fn: async () => {
    const { code, stdout, stderr } = await startOn("size=20m");
    assert.deepEqual([code, stdout], [4, ""]);
    assert.match(
      stderr,
      /^onion: cannot unpack into \S+ \(tar: .+\); make \d+ MB of room there or set ONION_CACHE_DIR\n$/,
    );
  },
});

Deno.test({
  ...needing("self-extracting: says what to do if the cache is mounted noexec", "root", "namespaces"),
  fn: async () => {
    const { code, stdout, stderr } = await startOn("noexec");
    assert.deepEqual([code, stdout], [4, ""]);
    assert.match(
      stderr,
      /^onion: cannot run what it unpacked into \S+ \(Permission denied\); it needs .*set ONION_CACHE_DIR\)\n$/,
    );
  },
});
