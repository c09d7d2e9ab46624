/**
 * A machine with nothing but a minimal Debian. `debootstrap` creates it once under `dist/`; each
 * test enters it in its own namespaces. All changes are gone afterwards.
 *
 *     host ── nsenter ──► net, mount and process namespaces
 *                           /         the kept root, under an overlay in memory
 *                           /proc     its own processes
 *                           /dev      null, zero, full, random, urandom, tty, net/tun
 *                           lo        up; no other interface
 *
 * @module
 */
import assert from "node:assert/strict";
import { DIST } from "../../../scripts/project.ts";
import { run } from "./program.ts";

/** The packages besides Debian's essential ones: what onion needs of a host, and ping. */
const PACKAGES = ["iproute2", "iputils-ping"];

/** What a test in an empty root needs of the host. */
export const EMPTY_ROOT_NEEDS = ["root", "namespaces", "nsenter", "debootstrap"];

/**
 * Sets up the namespaces from inside, prints `ready`, and keeps them until its standard input ends.
 */
const HOLD = `
  mount -t tmpfs tmpfs "$2"
  mkdir "$2/upper" "$2/work" "$2/root"
  mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
  cd "$2/root"
  mount -t proc proc proc
  mount -t tmpfs tmpfs dev
  mkdir dev/net
  for device in null zero full random urandom tty net/tun; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  ip link set lo up
  echo ready
  exec cat
`;

/** An entered empty root. */
export class EmptyRoot implements AsyncDisposable {
  readonly #unshare: Deno.ChildProcess;
  /** The host's pid of the namespaces' first process. */
  readonly #pid: number;
  readonly #scratch: string;

  private constructor(unshare: Deno.ChildProcess, pid: number, scratch: string) {
    this.#unshare = unshare;
    this.#pid = pid;
    this.#scratch = scratch;
  }

  /**
   * Enters the root. The first call creates it, which takes half a minute and downloads Debian
   * packages.
   */
  static async enter(): Promise<EmptyRoot> {
    const lower = await keptRoot();
    const scratch = Deno.makeTempDirSync({ dir: DIST, prefix: "root." });
    const namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child"];
    const unshare = new Deno.Command("unshare", {
      args: [...namespaces, "sh", "-euc", HOLD, "sh", lower, scratch],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const said = await unshare.stdout.pipeThrough(new TextDecoderStream()).values().next();
    assert.equal(said.value, "ready\n", "the namespaces of an empty root");
    const pid = Deno.readTextFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`);
    return new EmptyRoot(unshare, Number(pid), scratch);
  }

  /** Copies a file of the host into an existing directory of the root. */
  async copyIn(from: string, to: string): Promise<void> {
    await Deno.copyFile(from, `${this.path}${to}`);
  }

  /** The path of the root directory on the host. */
  get path(): string {
    return `/proc/${this.#pid}/cwd`;
  }

  /** A command line that runs a program in the root. Its environment has Debian's PATH only. */
  inside(program: string, ...args: string[]): [string, string[]] {
    const environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"];
    return this.#enter(
      ["--mount", "--net", "--pid", `--root=${this.path}`, `--wd=${this.path}`],
      ["/usr/bin/env", "-i", ...environment, program, ...args],
    );
  }

  /** A command line that runs a program of the host in the root's network. */
  beside(program: string, ...args: string[]): [string, string[]] {
    return this.#enter(["--net"], [program, ...args]);
  }

  #enter(namespaces: string[], command: string[]): [string, string[]] {
    return ["nsenter", ["--target", String(this.#pid), ...namespaces, "--", ...command]];
  }

  /** Ends all processes in the root and leaves it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unshare.stdin.close();
    await this.#unshare.status;
    await Deno.remove(this.#scratch, { recursive: true });
  }
}

/** The directory of the created root. */
async function keptRoot(): Promise<string> {
  const suite = Deno.readTextFileSync("/etc/os-release").match(/^VERSION_CODENAME=(.+)$/m)?.[1] ?? "stable";
  const kept = `${DIST}/empty-root-${[suite, ...PACKAGES].join("-")}`;
  try {
    if (Deno.statSync(kept).isDirectory) return kept;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const partial = Deno.makeTempDirSync({ dir: DIST, prefix: "debootstrap." });
  const made = await run("debootstrap", ["--variant=minbase", `--include=${PACKAGES}`, suite, partial]);
  assert.equal(made.code, 0, made.stdout + made.stderr);
  Deno.chmodSync(partial, 0o755);
  Deno.renameSync(partial, kept);
  return kept;
}
