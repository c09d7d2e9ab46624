/**
 * Builds what is measured: the C programs, and `onion` at this and another revision.
 *
 * @module
 */
import { dirname } from "node:path";
import { OperatorError } from "../src/errors.ts";
import { run } from "./command.ts";

/** Paths of the built C programs. */
export interface FloorPrograms {
  readonly tunEcho: string;
  readonly tunPair: string;
  readonly rawPair: string;
  /** The load generators for packets and for streams. */
  readonly load: string;
  readonly stream: string;
}

/** Builds the programs of `bench/floor/` that carry packets, and those that generate load. */
export async function buildFloor(root: string, signal: AbortSignal): Promise<FloorPrograms> {
  return {
    tunEcho: await buildProgram(root, "tun_echo", signal),
    tunPair: await buildProgram(root, "tun_pair", signal),
    rawPair: await buildProgram(root, "raw_pair", signal),
    load: await buildProgram(root, "load", signal),
    stream: await buildProgram(root, "stream", signal),
  };
}

/**
 * Builds one program of `bench/floor/` into `dist/bench/` with `cc -O2`, as a distribution would.
 *
 * @param libraries libraries to link, as in `-l`
 */
export async function buildProgram(
  root: string,
  name: string,
  signal: AbortSignal,
  libraries: readonly string[] = [],
): Promise<string> {
  const out = `${root}/dist/bench`;
  await Deno.mkdir(out, { recursive: true });
  // Renames the file, because another bench may be running the old one.
  const fresh = `${out}/${name}.${Deno.pid}`;
  const linked = libraries.map((library) => `-l${library}`);
  await run(["cc", "-O2", "-o", fresh, `${root}/bench/floor/${name}.c`, ...linked], { signal });
  await Deno.rename(fresh, `${out}/${name}`);
  return `${out}/${name}`;
}

/**
 * Builds `onion` in the tree at `root` by its own `deno task build`. Returns the executable's path.
 */
export async function buildOnion(root: string, signal: AbortSignal): Promise<string> {
  const deno = Deno.execPath();
  await run([deno, "task", "build"], {
    cwd: root,
    signal,
    // The task calls `deno`, which must be this one.
    env: { PATH: `${dirname(deno)}:${Deno.env.get("PATH") ?? ""}` },
  });
  return await findOnion(root);
}

/**
 * The path of the executable in the tree at `root`.
 *
 * @throws OperatorError if it is not built
 */
export async function findOnion(root: string): Promise<string> {
  const onion = `${root}/onion`;
  const there = await Deno.stat(onion).then(() => true, () => false);
  if (!there) {
    throw new OperatorError(`There is no ${onion}`, "run `deno task build`, or leave out --no-build");
  }
  return onion;
}

/** The short commit id of `revision` in the repository at `root`. */
export async function resolveRevision(root: string, revision: string): Promise<string> {
  const id = await run([
    "git",
    "-C",
    root,
    "rev-parse",
    "--short",
    "--verify",
    "--end-of-options",
    `${revision}^{commit}`,
  ]);
  return id.trim();
}

/** Checks a commit out into a tree of its own, which `stack` removes. Returns the tree's path. */
export async function checkOut(root: string, commit: string, stack: AsyncDisposableStack): Promise<string> {
  const temporary = await Deno.makeTempDir({ prefix: "onionbench-tree-" });
  stack.defer(() => Deno.remove(temporary, { recursive: true }));
  const tree = `${temporary}/tree`;
  await run(["git", "-C", root, "worktree", "add", "--quiet", "--detach", tree, commit]);
  stack.defer(async () => void await run(["git", "-C", root, "worktree", "remove", "--force", tree]));
  return tree;
}
