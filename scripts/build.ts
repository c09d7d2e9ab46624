/**
 * `deno task build` makes `./onion`, one file that needs nothing else, and says which kind it is. A
 * build without changed inputs ends at once.
 *
 * - `deno compile`, if the runtime base can be downloaded.
 * - A self-extracting executable otherwise, with the same behaviour and without a download.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../src/errors.ts";
import type { ExecutableKind } from "../src/run/self.ts";
import { denoCompile } from "./deno_compile.ts";
import { DIST, exists, ROOT, sha256 } from "./project.ts";
import { selfExtracting } from "./self_extracting.ts";

const onion = `${ROOT}onion`;
const stampFile = `${DIST}/build.json`;

/** The contents of `dist/build.json`: the last build. */
interface Stamp {
  readonly inputs: string;
  readonly kind: ExecutableKind;
  /** Size in bytes and time of the executable, to notice another build. */
  readonly size: number;
  readonly modified: number;
}

try {
  await build();
} catch (error) {
  if (!(error instanceof OperatorError)) throw error;
  console.error(`build: ${error.message}; ${error.remedy}`);
  Deno.exit(error.exitCode);
}

async function build(): Promise<void> {
  const wanted = Deno.readTextFileSync(`${ROOT}.deno-version`).trim();
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
  Deno.mkdirSync(DIST, { recursive: true });
  const scratch = Deno.makeTempDirSync({ dir: DIST, prefix: "build." });
  try {
    const made = `${scratch}/onion`;
    const whyNot = await denoCompile(made);
    if (whyNot !== undefined) await selfExtracting(made);
    const kind = whyNot === undefined ? "deno compile" : "self-extracting";
    // Renames the file, so that a running ./onion stays whole.
    Deno.renameSync(made, onion);
    const { size, mtime } = Deno.statSync(onion);
    const stamp: Stamp = { inputs, kind, size, modified: Number(mtime) };
    Deno.writeTextFileSync(stampFile, JSON.stringify(stamp));
    const reason = whyNot === undefined ? "" : `; deno compile was not possible: ${whyNot}`;
    console.error(`build: made ./onion, ${kind}, ${megabytes(size)}${reason}`);
  } finally {
    Deno.removeSync(scratch, { recursive: true });
  }
}

/** One hash of everything that a build depends on. */
async function fingerprint(): Promise<string> {
  const files = ["main.ts", "deno.json", "deno.lock", ...filesUnder("src"), ...filesUnder("scripts")];
  const parts: (string | Uint8Array<ArrayBuffer>)[] = [Deno.version.deno, Deno.env.get("DENORT_BIN") ?? ""];
  for (const file of files.filter((file) => exists(ROOT + file)).sort()) {
    parts.push(`\0${file}\0`, Deno.readFileSync(ROOT + file));
  }
  return await sha256(parts);
}

function filesUnder(directory: string): string[] {
  return [...Deno.readDirSync(ROOT + directory)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesUnder(`${directory}/${name}`) : [`${directory}/${name}`]
  );
}

/** The note of the last build, if `./onion` is still its result. */
function lastBuild(): Stamp | undefined {
  try {
    const stamp: Stamp = JSON.parse(Deno.readTextFileSync(stampFile));
    const { size, mtime } = Deno.statSync(onion);
    return stamp.size === size && stamp.modified === Number(mtime) ? stamp : undefined;
  } catch {
    return undefined; // no build yet, or one that was interrupted
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
