/**
 * A self-extracting executable: a shell head (`head.sh`) with a gzipped tar archive behind it, which holds the Deno
 * runtime and the bundled program. The same inputs make the same bytes.
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
  /** Whether its owner may run it. */
  readonly program: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Makes the executable, with the Deno that runs this. */
export async function selfExtracting(output: string): Promise<void> {
  const runtime = Deno.readFileSync(Deno.execPath());
  // gzip members, laid end to end, unpack to their contents, laid end to end: so the runtime, which takes longest, is
  // compressed only once.
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
    // Rarely used code stays in files of its own, so that a router doesn't load the help pages.
    // What is short is read and hashed sooner, each time the program starts: of 300 ms it saves 10.
    const flags = ["--quiet", "--code-splitting", "--minify"];
    // What is started shares no file with what starts it, since they share no memory either: so it has fewer to load.
    for (const entry of ["main.ts", ...STARTED_MODULES]) {
      const into = `${directory}/${entry.slice(0, entry.lastIndexOf("/") + 1)}`;
      const { success, said } = await deno(["bundle", ...flags, "--outdir", into, entry]);
      if (!success) throw new OperatorError(`deno bundle failed:\n${said}`, "mend what it names");
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
 * Hides what a module imports only now and then. Deno reads and looks through everything that a program names before it runs the
 * first line, and for each Worker once more: of a start's 300 ms that took 7 in each process. A name that is the result of an
 * expression is looked up when it is needed.
 */
export function hideImports(code: string): string {
  return code.replace(/\bimport\(("[^"]+")\)/g, "import((0,$1))");
}

/** The archive's first member. It is named for the program, because that is what `ps` and `pgrep` go by. */
async function compressedRuntime(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const kept = `${DIST}/runtime-${await sha256([bytes])}.tar.gz`;
  if (exists(kept)) return Deno.readFileSync(kept);
  const zipped = await zip(tarEntry({ name: "onion", program: true, bytes }));
  // Renamed, so that another build never reads half of it.
  const partial = Deno.makeTempFileSync({ dir: DIST });
  Deno.writeFileSync(partial, zipped);
  Deno.renameSync(partial, kept);
  return zipped;
}

/** Puts values where the head says `@NAME@`, and the payload's first line where it says `@LINE@`. */
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
 * A file as a tar archive holds it: a header (POSIX.1-2017, pax, "ustar Interchange Format"), the bytes, and padding.
 * Owner, group and time are zero, because `tar -om` looks at none of them.
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

/** Paths of the files in a directory, at any depth, in an order that doesn't depend on the file system. */
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
