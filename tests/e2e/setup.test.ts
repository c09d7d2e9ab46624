/**
 * `./setup.sh` on machines that lack something, and the shell scripts themselves. Each run uses a
 * copy and a PATH with only the named programs. npm is a fake, so nothing is downloaded.
 */
import assert from "node:assert/strict";
import { ROOT } from "../../scripts/project.ts";
import { needing, run, scratchDirectory } from "./support/program.ts";

const PACKAGE = `@deno/linux-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}-glibc`;
const ESSENTIAL = ["cat", "chmod", "cp", "cut", "dirname", "head", "mkdir", "mv", "rm", "sh", "uname"];

/** A fake npm that installs like the real one, and records its calls. */
const NPM = `#!/bin/sh
echo "$@" >>"$NPM_CALLS"
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules/${PACKAGE}"
cp "$REAL_DENO" "$2/node_modules/${PACKAGE}/deno"
`;

/** A copy of what setup.sh needs, and a PATH with the essential tools and these programs. */
function machine(programs: Readonly<Record<string, string>>) {
  const scratch = scratchDirectory();
  const project = scratch.path;
  for (const file of ["setup.sh", ".deno-version"]) Deno.copyFileSync(ROOT + file, `${project}/${file}`);
  Deno.mkdirSync(`${project}/bin`);
  for (const tool of ESSENTIAL) Deno.symlinkSync(`/usr/bin/${tool}`, `${project}/bin/${tool}`);
  for (const [name, text] of Object.entries(programs)) {
    Deno.writeTextFileSync(`${project}/bin/${name}`, text, { mode: 0o755 });
  }
  const env = { PATH: `${project}/bin`, REAL_DENO: Deno.execPath(), NPM_CALLS: `${project}/calls` };
  return {
    project,
    /** Prints the path of Deno, after fetching it. */
    setUp: () => run(`${project}/setup.sh`, ["deno"], { cwd: "/", clearEnv: true, env }),
    npmCalls: () => Deno.readTextFileSync(`${project}/calls`).trimEnd().split("\n"),
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  };
}

Deno.test("setup.sh: uses the Deno on PATH if it is the right version", async () => {
  using here = machine({ deno: `#!/bin/sh\nexec '${Deno.execPath()}' "$@"\n` });
  assert.deepEqual(await here.setUp(), { code: 0, stdout: `${here.project}/bin/deno\n`, stderr: "" });
});

Deno.test("setup.sh: fetches Deno once, despite another version or an interrupted set-up", async () => {
  using here = machine({ npm: NPM, deno: "#!/bin/sh\necho deno 1.0.0\n" });
  const noProcess = 2 ** 30; // above the highest pid of Linux
  Deno.mkdirSync(`${here.project}/.deno/fetch.${noProcess}`, { recursive: true });
  const first = await here.setUp();
  assert.deepEqual([first.code, first.stdout], [0, `${here.project}/.deno/deno\n`]);
  assert.deepEqual(await here.setUp(), { code: 0, stdout: first.stdout, stderr: "" });
  assert.equal(here.npmCalls().length, 1);
  assert.ok(here.npmCalls()[0]?.endsWith(`${PACKAGE}@${Deno.version.deno}`));
  assert.deepEqual([...Deno.readDirSync(`${here.project}/.deno`)].map(({ name }) => name), ["deno"]);
});

Deno.test("setup.sh: says in one line what to do if it cannot fetch", async (t) => {
  const remedy =
    `setup: cannot fetch Deno ${Deno.version.deno}; install npm, or curl and unzip, or put Deno ${Deno.version.deno} on PATH\n`;
  await t.step("without npm and unzip", async () => {
    using here = machine({});
    assert.deepEqual(await here.setUp(), { code: 4, stdout: "", stderr: remedy });
  });
  await t.step("when npm fails", async () => {
    using here = machine({ npm: "#!/bin/sh\nexit 1\n" });
    const { code, stderr } = await here.setUp();
    assert.equal(code, 4);
    assert.ok(stderr.endsWith(remedy), stderr);
    assert.deepEqual([...Deno.readDirSync(`${here.project}/.deno`)], []);
  });
  await t.step("when what was fetched does not run", async () => {
    using here = machine({ npm: NPM.replace("$REAL_DENO", "/usr/bin/false") });
    const { code, stderr } = await here.setUp();
    assert.equal(code, 4);
    assert.match(stderr, /does not run on this machine; onion needs Linux with glibc\n$/);
    assert.deepEqual([...Deno.readDirSync(`${here.project}/.deno`)], []);
  });
});

Deno.test("CI: the last line counts what failed, in the gate and in the tests", async (t) => {
  using scratch = scratchDirectory();
  Deno.mkdirSync(`${scratch.path}/.ci`);
  Deno.copyFileSync(`${ROOT}.ci/run`, `${scratch.path}/.ci/run`);
  // [case, exit code of setup.sh check, output and exit code of setup.sh test, last line, exit code
  // of CI]
  const cases: [string, number, string, number, string, number][] = [
    [
      "all well",
      0,
      "ok | 12 passed (3 steps) | 0 failed | 4 ignored (2s)",
      0,
      "12 passed, 0 failed, 4 skipped",
      0,
    ],
    ["a test fails", 0, "FAILED | 11 passed | 2 failed (2s)", 1, "11 passed, 2 failed, 0 skipped", 1],
    ["the gate fails", 1, "ok | 12 passed | 0 failed (2s)", 0, "12 passed, 1 failed, 0 skipped", 1],
    ["both fail", 1, "FAILED | 11 passed | 1 failed (2s)", 1, "11 passed, 2 failed, 0 skipped", 1],
    ["no test runs", 0, "error: Module not found", 1, "0 passed, 1 failed, 0 skipped", 1],
    [
      "an error between tests",
      0,
      "FAILED | 12 passed | 0 failed (2s)",
      1,
      "12 passed, 1 failed, 0 skipped",
      1,
    ],
  ];
  for (const [what, gate, summary, tests, lastLine, code] of cases) {
    await t.step(what, async () => {
      const setup =
        `#!/bin/sh\ncase $1 in check) exit ${gate} ;; test) echo '${summary}'; exit ${tests} ;; esac\n`;
      Deno.writeTextFileSync(`${scratch.path}/setup.sh`, setup, { mode: 0o755 });
      const ended = await run(`${scratch.path}/.ci/run`, []);
      assert.deepEqual([ended.stdout.trimEnd().split("\n").at(-1), ended.code], [lastLine, code]);
    });
  }
});

Deno.test({
  ...needing("shell scripts: pass shellcheck", "shellcheck"),
  fn: async () => {
    const ended = await run("shellcheck", ["setup.sh", ".ci/run", "scripts/head.sh"], { cwd: ROOT });
    assert.deepEqual(ended, { code: 0, stdout: "", stderr: "" });
  },
});
