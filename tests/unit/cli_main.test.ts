import assert from "node:assert/strict";
import { usageText } from "../../src/cli/help.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

function onion(args: string[], env: Record<string, string> = {}): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", MAIN, ...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function run(...args: string[]) {
  const { code, stdout, stderr } = await onion(args).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("main: prints results on stdout", async () => {
  const { code, stdout, stderr } = await run("--version");
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.match(stdout, /^onion \d+\.\d+\.\d+ \(Deno \d+\.\d+\.\d+, source\)\n$/);
});

Deno.test("main: prints the usage on stderr if the command line is empty", async () => {
  assert.deepEqual(await run(), { code: 2, stdout: "", stderr: `${usageText()}\n` });
});

Deno.test("main: reports a wrong command line in one line on stderr", async () => {
  assert.deepEqual(await run("--stage", "12"), {
    code: 2,
    stdout: "",
    stderr: "onion: there is no stage 12; stages go from 1 to 9\n",
  });
  // An operator's error has no stack, even at the most verbose level.
  assert.deepEqual(await run("--bogus", "--log-level", "debug"), {
    code: 2,
    stdout: "",
    stderr: "onion: unknown option --bogus; see onion --help\n",
  });
});

Deno.test("main: takes no harm from a reader that closes the pipe early", async () => {
  const child = onion(["completion", "bash"]).spawn();
  await child.stdout.cancel();
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
});

Deno.test("main: ends on a signal, even while it waits for a config file", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const pipe = `${directory}/pipe`;
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    const child = onion([pipe]).spawn();
    // Opening the pipe waits until onion has opened it. From then on onion waits for us.
    using _writer = await Deno.open(pipe, { write: true });
    child.kill("SIGTERM");
    const { code, stderr } = await child.output();
    assert.deepEqual({ code, stderr: new TextDecoder().decode(stderr) }, { code: 0, stderr: "" });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("main: ends at once on a second Ctrl+C", async () => {
  const directory = await Deno.makeTempDir();
  let router: number | undefined;
  try {
    const child = onion(["--stage", "1", "--log-dir", directory]).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const ready = (await lines.read()).value ?? "";
    router = Number(/^ready: stage 1, router 1 pid (\d+)\n/.exec(ready)?.[1]);
    // The proxy asks its router to stop, and waits. This router does not answer.
    Deno.kill(router, "SIGSTOP");
    // Repeated, because two signals at once can arrive as one.
    const impatience = setInterval(() => child.kill("SIGINT"), 20);
    child.status.finally(() => clearInterval(impatience));
    assert.equal((await child.status).code, 130);
    await Promise.all([lines.cancel(), child.stderr.cancel()]);
  } finally {
    if (router !== undefined) Deno.kill(router, "SIGKILL");
    await Deno.remove(directory, { recursive: true });
  }
});
