/**
 * A self-extracting executable: a shell head (`head.sh`) followed by a gzipped tar archive with the
 * Deno runtime and the bundled program. The same inputs give the same bytes.
 *
 * @module
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { OperatorError } from "../src/errors.ts";
import { RUN_BUNDLE, VERSION } from "../src/run/self.ts";
import { deno, DIST, exists, sha256, STARTED_MODULES } from "./project.ts";

/** A file of the archive. */
interface Entry {
  readonly name: string;
  /** Whether its owner may execute it. */
  readonly program: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Makes the executable with this Deno. */
export async function selfExtracting(output: string): Promise<void> {
  const runtime = Deno.readFileSync(Deno.execPath());
  // Concatenated gzip members unpack to concatenated contents. So the runtime, which takes longest,
  // is compressed only once.
  const payload = [
    await compressedRuntime(runtime),
    await zip([...(await bundle()).flatMap(tarEntry), TAR_END]),
  ];
  const head = fill(Deno.readTextFileSync(new URL("head.sh", import.meta.url)), {
    VERSION,
    DENO: Deno.version.deno,
    ARCH: Deno.build.arch,
    SHA256: await sha256(payload),
    FLAGS: RUN_BUNDLE.join(" "),
    MEGABYTES: String(Math.ceil(runtime.length * 1.1 / 1e6)),
  });
  await Deno.writeFile(output, new Blob([head, ...payload]).stream(), { mode: 0o755 });
}

/** The program as JavaScript: `main.js`, and everything that it imports or starts. */
async function bundle(): Promise<Entry[]> {
  const directory = Deno.makeTempDirSync({ dir: DIST, prefix: "bundle." });
  try {
    // Rarely used code stays in separate files, so a router does not load the help pages. Minified
    // files load faster: 10 of 300 ms at each start.
    const flags = ["--quiet", "--code-splitting", "--minify"];
    // A started module shares no file with its starter, because they share no memory. So it loads
    // fewer files.
    for (const entry of ["main.ts", ...STARTED_MODULES]) {
      const into = `${directory}/${entry.slice(0, entry.lastIndexOf("/") + 1)}`;
      const { success, said } = await deno(["bundle", ...flags, "--outdir", into, entry]);
      if (!success) throw new OperatorError(`deno bundle failed:\n${said}`, "fix what it names");
    }
    return filesUnder(directory).map((name) => ({
      name,
      program: false,
      bytes: new TextEncoder().encode(hideImports(Deno.readTextFileSync(`${directory}/${name}`))),
    }));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/**
 * Hides imports that a module makes only later. Deno reads everything that a program names before
 * its first line runs, and again for each Worker: 7 of 300 ms in each process. It resolves a
 * computed name only when needed.
 */
export function hideImports(code: string): string {
  return code.replace(/\bimport\(("[^"]+")\)/g, "import((0,$1))");
}

/**
 * The first member of the archive. It has the name of the program, because `ps` and `pgrep` show
 * that.
 */
async function compressedRuntime(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const kept = `${DIST}/runtime-${await sha256([bytes])}.tar.gz`;
  if (exists(kept)) return Deno.readFileSync(kept);
  const zipped = await zip(tarEntry({ name: "onion", program: true, bytes }));
  // Renames the file, so that another build never reads half of it.
  const partial = Deno.makeTempFileSync({ dir: DIST });
  Deno.writeFileSync(partial, zipped);
  Deno.renameSync(partial, kept);
  return zipped;
}

/** Fills in values where the head has `@NAME@`, and the first line of the payload for `@LINE@`. */
function fill(template: string, values: Readonly<Record<string, string>>): string {
  const lines = template.split("\n").length;
  return template.replace(/@([A-Z0-9]+)@/g, (_, name: string) => {
    const value = name === "LINE" ? String(lines) : values[name];
    if (value === undefined) throw new Error(`scripts/head.sh wants @${name}@, which the build doesn't know`);
    return value;
  });
}

const BLOCK = 512;
const TAR_END = new Uint8Array(2 * BLOCK);

/**
 * A file in a tar archive: header (POSIX.1-2017, pax, "ustar Interchange Format"), bytes, and
 * padding. Owner, group and time are zero, because `tar -om` ignores them.
 */
function tarEntry({ name, program, bytes }: Entry): Uint8Array<ArrayBuffer>[] {
  const header = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => new TextEncoder().encodeInto(text, header.subarray(at));
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  if (name.length > 100) throw new RangeError(`Cannot archive ${name}: a ustar name has at most 100 bytes`);
  put(0, name);
  put(100, octal(program ? 0o700 : 0o600, 7));
  put(108, octal(0, 7)); // owner
  put(116, octal(0, 7)); // group
  put(124, octal(bytes.length, 11));
  put(136, octal(0, 11)); // time
  put(148, " ".repeat(8)); // the checksum's own field counts as blanks
  put(156, "0"); // a regular file
  put(257, "ustar\0" + "00");
  put(148, octal(header.reduce((sum, byte) => sum + byte, 0), 6) + "\0");
  return [header, bytes, new Uint8Array((BLOCK - bytes.length % BLOCK) % BLOCK)];
}

/** Paths of the files in a directory, at any depth, in an order independent of the file system. */
function filesUnder(directory: string, prefix = ""): string[] {
  return [...Deno.readDirSync(`${directory}/${prefix}`)]
    .flatMap(({ name, isDirectory }) =>
      isDirectory ? filesUnder(directory, `${prefix}${name}/`) : [prefix + name]
    )
    .sort();
}

async function zip(parts: Uint8Array<ArrayBuffer>[]): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return new Uint8Array(await promisify(gzip)(bytes));
}
