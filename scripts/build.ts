/**
 * `deno task build`: makes `./onion`, one file that needs nothing else, and says which of two kinds it is. A build
 * whose inputs have not changed is over at once.
 *
 * - By `deno compile`, wherever the runtime base that it puts the program on can be had.
 * - Self-extracting otherwise: the same behaviour, without a download.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../src/errors.ts";
import { type ExecutableKind, VERSION } from "../src/process/self.ts";
import { selfExtracting } from "./self_extracting.ts";

/** Modules that are started, not imported, so that no tool finds them by itself. */
export const STARTED_MODULES: readonly string[] = ["src/loop/packet_thread.ts"];

/** How long the download of the runtime base may take to begin, and to end. */
const REACHABLE_MS = 5_000;
const COMPILED_MS = 300_000;

const root = decodeURIComponent(new URL("..", import.meta.url).pathname);
const onion = `${root}onion`;
const dist = `${root}dist`;
const stampFile = `${dist}/build.json`;

/** What `dist/build.json` keeps of the last build. */
interface Stamp {
  readonly inputs: string;
  readonly kind: ExecutableKind;
  /** Size in bytes and time of the executable, so that a build of somebody else's is noticed. */
  readonly size: number;
  readonly modified: number;
}

if (import.meta.main) {
  try {
    await build();
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    console.error(`build: ${error.message}; ${error.remedy}`);
    Deno.exit(error.exitCode);
  }
}

async function build(): Promise<void> {
  const wanted = Deno.readTextFileSync(`${root}.deno-version`).trim();
  if (Deno.version.deno !== wanted) {
    const cause = `this is Deno ${Deno.version.deno}, the project is pinned to ${wanted}`;
    throw new OperatorError(cause, "run ./setup.sh, which fetches that one", ExitCode.hostLacks);
  }
  const inputs = await fingerprint();
  const last = lastBuild();
  if (last?.inputs === inputs) {
    console.error(`build: ./onion is up to date (${last.kind}, ${megabytes(last.size)})`);
    return;
  }
  Deno.mkdirSync(dist, { recursive: true });
  const scratch = Deno.makeTempDirSync({ dir: dist, prefix: "build." });
  try {
    const made = `${scratch}/onion`;
    const whyNot = await compile(made);
    if (whyNot !== undefined) await extractable(made, scratch);
    const kind = whyNot === undefined ? "deno compile" : "self-extracting";
    // Renamed, so that whoever runs ./onion meanwhile has the old one or the new one, and a running one stays whole.
    Deno.renameSync(made, onion);
    const { size, mtime } = Deno.statSync(onion);
    const stamp: Stamp = { inputs, kind, size, modified: Number(mtime) };
    Deno.writeTextFileSync(stampFile, JSON.stringify(stamp));
    const reason = whyNot === undefined ? "" : `; not by deno compile: ${whyNot}`;
    console.error(`build: made ./onion, ${kind}, ${megabytes(size)}${reason}`);
  } finally {
    Deno.removeSync(scratch, { recursive: true });
  }
}

/** Builds with `deno compile`. Returns why that can't be, in words that go behind a colon, or nothing when it can. */
async function compile(made: string): Promise<string | undefined> {
  const unreachable = await whyNoRuntimeBase();
  if (unreachable !== undefined) return unreachable;
  const compiled = await deno([
    "compile",
    "--quiet",
    "--no-check", // the gate checks types
    "--allow-all",
    // Deno keeps a compiled program's code cache under a guessable name in /tmp, where anyone may put one for root.
    "--no-code-cache",
    ...STARTED_MODULES.flatMap((path) => ["--include", path]),
    "--output",
    made,
    "main.ts",
  ], COMPILED_MS);
  if (!compiled.success) return `it failed (${lastWords(compiled.said)})`;
  // A base that is no `denort` may be taken without complaint, and then ignores the program.
  const self = await output(made, ["--version"]).catch((error: Error) => error.message);
  return self.includes(`onion ${VERSION}`) ? undefined : "what it makes does not run the program";
}

/** Whether `deno compile` will find or get its runtime base; it would say so itself, but slowly. */
async function whyNoRuntimeBase(): Promise<string | undefined> {
  if (Deno.env.has("DENORT_BIN")) return undefined;
  const path = `release/v${Deno.version.deno}/denort-${Deno.build.target}.zip`;
  const { denoDir } = JSON.parse(await output(Deno.execPath(), ["info", "--json"]));
  if (exists(`${denoDir}/dl/${path}`)) return undefined;
  try {
    const signal = AbortSignal.timeout(REACHABLE_MS);
    const { ok, status } = await fetch(`https://dl.deno.land/${path}`, { method: "HEAD", signal });
    return ok ? undefined : `the download of its runtime base is answered with ${status}`;
  } catch {
    return "the download of its runtime base cannot be reached";
  }
}

/** Builds the self-extracting kind, with the Deno that runs this. */
async function extractable(made: string, scratch: string): Promise<void> {
  const bundle = `${scratch}/bundle`;
  // Rarely used code stays in files of its own, so that a router doesn't load the help pages.
  const args = ["bundle", "--quiet", "--code-splitting", "--outdir", bundle, "main.ts", ...STARTED_MODULES];
  const bundled = await deno(args, COMPILED_MS);
  if (!bundled.success) throw new OperatorError(`deno bundle failed:\n${bundled.said}`, "mend what it names");
  const parts = await selfExtracting({ runtime: Deno.execPath(), bundle, scratch: dist });
  Deno.writeFileSync(made, new Uint8Array(await new Blob(parts).arrayBuffer()), { mode: 0o755 });
}

/** One hash of everything that a build depends on. */
async function fingerprint(): Promise<string> {
  const files = ["main.ts", "deno.json", "deno.lock"];
  const walk = (directory: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(root + directory)) {
      if (isDirectory) walk(`${directory}/${name}`);
      else files.push(`${directory}/${name}`);
    }
  };
  walk("src");
  walk("scripts");
  const parts: (string | Uint8Array<ArrayBuffer>)[] = [Deno.version.deno, Deno.env.get("DENORT_BIN") ?? ""];
  for (const file of files.sort()) {
    parts.push(`\0${file}\0`, exists(root + file) ? Deno.readFileSync(root + file) : "");
  }
  const digest = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
  return new Uint8Array(digest).toHex();
}

/** What the last build noted, if `./onion` is still what it made. */
function lastBuild(): Stamp | undefined {
  try {
    const stamp: Stamp = JSON.parse(Deno.readTextFileSync(stampFile));
    const { size, mtime } = Deno.statSync(onion);
    return stamp.size === size && stamp.modified === Number(mtime) ? stamp : undefined;
  } catch {
    return undefined; // no build yet, or one that was interrupted
  }
}

/** Runs Deno in the project, for so long at most, and returns what it said on stderr. */
async function deno(args: string[], limitMs: number): Promise<{ success: boolean; said: string }> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(limitMs),
  }).output();
  return { success, said: new TextDecoder().decode(stderr) };
}

/** The last line of an error that says something: the innermost cause. */
function lastWords(said: string): string {
  const [error = ""] = said.split("\n\nStack backtrace");
  return error.trim().split("\n").at(-1)?.trim() || "without a word";
}

async function output(command: string, args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args, stdin: "null", stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
