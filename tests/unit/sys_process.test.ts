import assert from "node:assert/strict";
import { isHalted } from "../../src/sys/process.ts";

/** A process that sleeps, ended with the block. */
function makeSleeper() {
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

/** Waits until a process is halted, or is not. */
async function until(pid: number, halted: boolean): Promise<void> {
  for (const limit = Date.now() + 5000; isHalted(pid) !== halted;) {
    assert.ok(Date.now() < limit, `${halted ? "never" : "still"} halted`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("process: a stopped one is halted until it goes on", async () => {
  await using sleeper = makeSleeper();
  await until(sleeper.pid, false);
  Deno.kill(sleeper.pid, "SIGSTOP");
  await until(sleeper.pid, true);
  Deno.kill(sleeper.pid, "SIGCONT");
  await until(sleeper.pid, false);
});

Deno.test("process: one that does not exist is not halted", () => {
  assert.equal(isHalted(2 ** 22), false);
});

/** A new cgroup with a freezer, and the words that freeze and thaw it; undefined if not allowed. */
function makeFreezer() {
  const name = `onion-test-${Deno.pid}`;
  const kinds = [
    { parent: "/sys/fs/cgroup/freezer", file: "freezer.state", words: ["FROZEN", "THAWED"] },
    { parent: "/sys/fs/cgroup", file: "cgroup.freeze", words: ["1", "0"] },
    { parent: "/sys/fs/cgroup/unified", file: "cgroup.freeze", words: ["1", "0"] },
  ] as const;
  for (const { parent, file, words: [frozen, thawed] } of kinds) {
    const path = `${parent}/${name}`;
    try {
      if (!Deno.statSync(`${parent}/cgroup.procs`).isFile) continue;
      Deno.mkdirSync(path);
      try {
        Deno.statSync(`${path}/${file}`);
        Deno.writeTextFileSync(`${path}/${file}`, thawed, { create: false });
        return { path, file: `${path}/${file}`, frozen, thawed };
      } catch {
        Deno.removeSync(path);
      }
    } catch {
      // Not here, or not allowed.
    }
  }
  return undefined;
}

Deno.test("process: one whose cgroup is frozen is halted", async (t) => {
  const freezer = makeFreezer();
  if (freezer === undefined) return void await t.step({ name: "no freezer here", ignore: true, fn() {} });
  const { path, file, frozen, thawed } = freezer;
  try {
    await using sleeper = makeSleeper();
    const write = (name: string, text: string) => Deno.writeTextFileSync(name, text, { create: false });
    write(`${path}/cgroup.procs`, `${sleeper.pid}`);
    write(file, frozen);
    await until(sleeper.pid, true);
    write(file, thawed);
    await until(sleeper.pid, false);
  } finally {
    // The kernel may take a moment to let the dead process go.
    for (let tries = 0; tries < 100; tries++) {
      try {
        Deno.removeSync(path);
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }
});
