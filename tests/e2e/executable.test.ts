/**
 * All kinds of the executable that this machine can build.
 */
import assert from "node:assert/strict";
import { compileArguments } from "../../scripts/deno_compile.ts";
import { deno, ROOT, STARTED_MODULES } from "../../scripts/project.ts";
import { type ExecutableKind, selfCommand, VERSION } from "../../src/run/self.ts";
import { ONION, run, scratchDirectory, selfExtractingOnion } from "./support/program.ts";

const versionOf = (kind: ExecutableKind) => `onion ${VERSION} (Deno ${Deno.version.deno}, ${kind})\n`;

Deno.test("executable: --version tells its version, its runtime, and its kind", async () => {
  const { kind } = JSON.parse(Deno.readTextFileSync(`${ROOT}dist/build.json`));
  assert.deepEqual(await run(ONION, ["--version"]), { code: 0, stdout: versionOf(kind), stderr: "" });
});

Deno.test("executable: --version does so in the self-extracting kind, and from source", async () => {
  const extracting = await run(await selfExtractingOnion(), ["--version"]);
  assert.equal(extracting.stdout, versionOf("self-extracting"));
  // From an unrelated directory, as a router is started.
  const { command, args } = selfCommand(["--version"]);
  assert.equal((await run(command, args, { cwd: "/" })).stdout, versionOf("source"));
});

Deno.test("executable: deno compile embeds every module, also the Worker's", async () => {
  using scratch = scratchDirectory();
  const made = `${scratch.path}/onion`;
  // With Deno itself as the runtime base, the result contains the program but does not run it.
  const { success, said } = await deno(compileArguments(made), { DENORT_BIN: Deno.execPath() });
  assert.ok(success, said);

  // As text, to search it.
  const text = (path: string) => new TextDecoder("latin1").decode(Deno.readFileSync(path));
  const binary = text(made);
  const { files, packages } = await modulesOf(["main.ts", ...STARTED_MODULES]);
  assert.ok(files.includes(`${ROOT}src/runtime/packet_thread.ts`) && files.length > 20, files.join());
  for (const file of files) assert.ok(binary.includes(text(file)), `${file} is not embedded`);
  assert.ok(packages.length > 0);
  for (const name of packages) assert.ok(binary.includes(`"name": "${name}"`), `${name} is not embedded`);
});

Deno.test("router process: loads no command line parser", async () => {
  const { files, packages } = await modulesOf(["src/run/router.ts", ...STARTED_MODULES]);
  assert.deepEqual(files.filter((file) => file.startsWith(`${ROOT}src/cli/`)), []);
  assert.deepEqual(packages.filter((name) => !name.startsWith("@logtape/")), []);
});

Deno.test("bundle: parses a command line without slow modules", async () => {
  using scratch = scratchDirectory();
  assert.equal(
    (await run(await selfExtractingOnion(), ["--version"], { env: { ONION_CACHE_DIR: scratch.path } })).code,
    0,
  );
  const [unpacked] = [...Deno.readDirSync(`${scratch.path}/onion`)].map(({ name }) =>
    `${scratch.path}/onion/${name}`
  );
  const main = Deno.readTextFileSync(`${unpacked}/main.js`);
  // Hidden from Deno's module graph, so that each chunk is loaded only when it is needed.
  assert.match(main, /\bimport\(\(0,"/);
  assert.doesNotMatch(main, /\bimport\("/);
  // The first segmenter of a process takes 20 ms, the first timer 11 ms.
  const probe = `${scratch.path}/probe.mjs`;
  Deno.writeTextFileSync(
    probe,
    `for (const [owner, name] of [[Intl, "Segmenter"], [globalThis, "setTimeout"], [globalThis, "setInterval"]]) {
      const value = function () { throw new Error(\`\${name} is used\`); };
      Object.defineProperty(owner, name, { value, writable: true, configurable: true });
    }
    await import("file://${unpacked}/main.js");`,
  );
  // Parsing finds an unknown stage at its very end.
  const refused = await run(`${unpacked}/onion`, ["run", "-A", "--no-config", probe, "--stage", "99"]);
  assert.deepEqual(refused, {
    code: 2,
    stdout: "",
    stderr: "onion: there is no stage 99; stages go from 1 to 9\n",
  });
});

/** The fields of `deno info --json` in use. */
interface Graph {
  readonly modules: {
    readonly specifier: string;
    readonly npmPackage?: string;
    /** `code` is missing for type-only imports, which are not part of the program. */
    readonly dependencies?: { readonly code?: { readonly specifier: string } }[];
  }[];
  readonly redirects: Readonly<Record<string, string>>;
}

/**
 * All code that these modules import, also indirectly: paths of our files, and names of packages.
 */
async function modulesOf(roots: string[]): Promise<{ files: string[]; packages: string[] }> {
  const files = new Set<string>();
  const packages = new Set<string>();
  for (const root of roots) {
    const { stdout } = await run(Deno.execPath(), ["info", "--json", root], { cwd: ROOT });
    const { modules, redirects }: Graph = JSON.parse(stdout);
    const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
    const reached = new Set([new URL(root, `file://${ROOT}`).href]);
    for (const specifier of reached) {
      const module = bySpecifier.get(redirects[specifier] ?? specifier);
      if (module?.npmPackage !== undefined) packages.add(module.npmPackage.replace(/(.)@.*$/, "$1"));
      else if (specifier.startsWith("file:")) files.add(decodeURIComponent(new URL(specifier).pathname));
      for (const { code } of module?.dependencies ?? []) if (code !== undefined) reached.add(code.specifier);
    }
  }
  return { files: [...files], packages: [...packages] };
}
