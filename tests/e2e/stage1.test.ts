/**
 * Stage 1 with the real executable: a proxy, a router, and the control channel between them. Needs
 * no root, and uses loopback only.
 *
 *     test ──signals──► proxy ◄──control, UDP──► router
 *       └────forged datagrams─┴──────────────────┘
 */
import assert from "node:assert/strict";
import { FrameCodec, FrameKind, makeSessionKey } from "../../src/control/frame.ts";
import { AS_NOBODY, needingNobody, NOBODY_ID } from "./support/nobody.ts";
import { childrenOf, Onion } from "./support/onion.ts";
import { scratchDirectory } from "./support/program.ts";

const STAGE_1 = ["--stage", "1"];

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test(`stage 1: starts a router, reports it, and ends well on ${signal}`, async () => {
    await using onion = await Onion.start(STAGE_1);
    const { router } = await onion.ready();
    const { code, stdout, stderr } = await onion.end(signal);
    assert.deepEqual([code, stderr], [0, ""]);
    const [ready, ended, ...more] = stdout.split("\n");
    assert.equal(ready, `ready: stage 1, router 1 pid ${router}`);
    assert.match(ended!, new RegExp(`^ended by ${signal} after \\d+\\.\\d s$`));
    assert.deepEqual(more, [""]);

    const [proxyLine, routerLine, ...others] = onion.log("stage1.proxy.out");
    assert.match(proxyLine!, /^proxy port: \d+$/);
    assert.match(routerLine!, new RegExp(`^router: 1, pid: ${router}, port: \\d+$`));
    assert.deepEqual(others, []);
    assert.deepEqual(onion.log("stage1.router1.out"), [routerLine]);
  });
}

Deno.test({
  ...needingNobody("stage 1: needs no privilege"),
  fn: async () => {
    using scratch = scratchDirectory();
    Deno.chownSync(scratch.path, NOBODY_ID, NOBODY_ID);
    await using onion = await Onion.start(STAGE_1, {
      via: AS_NOBODY,
      directory: scratch.path,
      env: { ONION_CACHE_DIR: scratch.path },
    });
    const { router } = await onion.ready();
    assert.match(
      Deno.readTextFileSync(`/proc/${router}/status`),
      new RegExp(`^Uid:\t${NOBODY_ID}\t${NOBODY_ID}\t`, "m"),
    );
    const { code, stderr } = await onion.end();
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(onion.log("stage1.router1.out").length, 1);
  },
});

Deno.test("router process: is the same program, and finds its key in neither environment nor arguments", async () => {
  await using onion = await Onion.start(STAGE_1);
  const { router } = await onion.ready();
  const ports = await onion.ports(1);
  assert.equal(Deno.readLinkSync(`/proc/${router}/exe`), Deno.readLinkSync(`/proc/${onion.pid}/exe`));
  const environment = Deno.readTextFileSync(`/proc/${router}/environ`).split("\0");
  assert.ok(environment.includes(`ONION_CONTROL_PORT=${ports.proxy}`), environment.join("\n"));
  const arguments_ = Deno.readTextFileSync(`/proc/${router}/cmdline`).split("\0");
  // The key has 32 bytes, but the cache's path may also contain a long word of hex digits.
  const own = new Set(Deno.readTextFileSync(`/proc/${onion.pid}/cmdline`).match(/[0-9a-f]{64}/gi));
  const words = [...environment, ...arguments_].join("\n").match(/[0-9a-f]{64}/gi) ?? [];
  assert.deepEqual(words.filter((word) => !own.has(word)), []);
  await onion.end();
});

Deno.test("stage 1 with --json: writes JSON lines from ready to ended", async () => {
  await using onion = await Onion.start([...STAGE_1, "--json"]);
  await onion.stdout.find(/"event":"ready"/);
  const [router] = childrenOf(onion.pid);
  const { code, stdout } = await onion.end();
  assert.equal(code, 0);
  const [ready, ended, ...more] = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(more, []);
  const [, proxyPort] = /^proxy port: (\d+)$/.exec(onion.log("stage1.proxy.out")[0]!)!;
  assert.deepEqual({ ...ready, time: "" }, {
    time: "",
    event: "ready",
    stage: 1,
    proxyPort: Number(proxyPort),
    routers: [{ router: 1, pid: router }],
  });
  assert.deepEqual([ended.event, ended.by, ended.rejected], ["ended", "SIGINT", { proxy: 0, "router 1": 0 }]);
  for (const { time } of [ready, ended]) assert.equal(new Date(time).toISOString(), time);
});

Deno.test("control channel: counts forged and garbled datagrams, and goes on", async () => {
  await using onion = await Onion.start(STAGE_1);
  await onion.ready();
  const ports = await onion.ports(1);

  // Complete frames, as if replayed from another session: everything is right except the key.
  const stranger = await FrameCodec.of(makeSessionKey());
  const message = FrameKind.message;
  const forged = [
    await stranger.seal({
      kind: message,
      from: 1,
      to: 0,
      sequence: 4,
      message: { type: "failed", message: "!" },
    }),
    await stranger.seal({ kind: message, from: 0, to: 1, sequence: 2, message: { type: "stop" } }),
    await stranger.seal({ kind: FrameKind.acknowledgement, from: 0, to: 1, sequence: 3 }),
  ];
  const garbled = [0, 1, 39, 40, 41, 1400, 65_507].map((length) => new Uint8Array(length).fill(0xa5));
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  for (const port of [ports.proxy, ports.router]) {
    for (const datagram of [...forged, ...garbled]) {
      await socket.send(datagram, { transport: "udp", hostname: "127.0.0.1", port });
    }
  }
  socket.close();

  // The router's last message arrives after them, so they are all counted before the end.
  const { code, stdout, stderr } = await onion.end();
  assert.deepEqual([code, stderr], [0, ""]);
  const ignored = `ignored ${forged.length + garbled.length} forged or garbled control datagrams`;
  assert.deepEqual(stdout.trimEnd().split("\n").slice(2), [`proxy: ${ignored}`, `router 1: ${ignored}`]);
  assert.equal(onion.log("stage1.router1.out").length, 1);
});

Deno.test("supervision: a killed router ends the run, which names it", async () => {
  await using onion = await Onion.start(STAGE_1);
  const { router } = await onion.ready();
  Deno.kill(router, "SIGKILL");
  const { code, stderr } = await onion.ended;
  assert.deepEqual([code, stderr], [
    1,
    `onion: router 1 (pid ${router}) died: SIGKILL; start again, with --log-level debug to see more\n`,
  ]);
});

Deno.test("supervision: the run reports the last words of its router", async () => {
  using scratch = scratchDirectory();
  const inTheWay = `${scratch.path}/stage1.router1.out`;
  Deno.mkdirSync(`${inTheWay}/full`, { recursive: true });
  await using onion = await Onion.start(STAGE_1, { directory: scratch.path });
  const { code, stdout, stderr } = await onion.ended;
  assert.deepEqual([code, stdout], [1, ""]);
  const words = "onion: cannot write the log file ./stage1.router1.out: Directory not empty";
  const [warning, line, ...more] = stderr.split("\n");
  assert.ok(warning!.startsWith(`onion router 1: warning: ${words}`), stderr);
  assert.match(line!, /^onion: router 1 \(pid \d+\) died: exit code 1: onion: cannot write the log file /);
  assert.deepEqual(more, [""]);
});

Deno.test("supervision: a router that alone gets SIGTERM says so and ends the run", async () => {
  await using onion = await Onion.start(STAGE_1);
  const { router } = await onion.ready();
  Deno.kill(router, "SIGTERM");
  const { code, stderr } = await onion.ended;
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^onion: router 1 failed: ended by SIGTERM; start again, with --log-level debug to see more\n/m,
  );
});

Deno.test("supervision: a stopped router ends nothing, and goes on when it may", async () => {
  await using onion = await Onion.start(STAGE_1);
  const { router } = await onion.ready();
  Deno.kill(router, "SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 7000));
  Deno.kill(router, "SIGCONT");
  const { code, stderr } = await onion.end();
  assert.deepEqual([code, stderr], [0, ""]);
});

Deno.test("killed proxy: leaves no router for more than a second", async () => {
  await using onion = await Onion.start(STAGE_1);
  await onion.ready();
  onion.kill("SIGKILL");
  await onion.ended;
  const killed = performance.now();
  await onion.gone;
  const took = performance.now() - killed;
  assert.ok(took < 1000, `${took} ms`);
});

Deno.test("second Ctrl+C: does not wait for a router that hangs", async () => {
  await using onion = await Onion.start(STAGE_1);
  const { router } = await onion.ready();
  Deno.kill(router, "SIGSTOP");
  const first = performance.now();
  // Repeatedly, because two simultaneous signals may merge into one.
  const impatience = setInterval(() => onion.kill("SIGINT"), 20);
  const { code } = await onion.ended.finally(() => clearInterval(impatience));
  const took = performance.now() - first;
  Deno.kill(router, "SIGCONT");
  assert.equal(code, 130);
  assert.ok(took < 1000, `${took} ms`);
  await onion.gone;
});

/** Milliseconds after which Deno would open its inspector's port on SIGUSR1: 500, with a margin. */
const INSPECTOR = 1000;

Deno.test("inspector: SIGUSR1 opens no port, neither at once nor when Deno would listen for it", async () => {
  await using onion = await Onion.start(STAGE_1);
  const { router } = await onion.ready();
  const processes = [onion.pid, router];
  for (const wait of [0, INSPECTOR]) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    for (const pid of processes) Deno.kill(pid, "SIGUSR1");
  }
  // Time for the port to open.
  await new Promise((resolve) => setTimeout(resolve, INSPECTOR));
  assert.deepEqual(processes.flatMap(listeningPorts), []);
  const { code, stderr } = await onion.end();
  assert.deepEqual([code, stderr], [0, ""], "nothing announced a debugger");
});

/** The TCP ports that a process listens on. */
function listeningPorts(pid: number): number[] {
  const sockets = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) =>
    /^socket:\[(\d+)\]$/.exec(Deno.readLinkSync(`/proc/${pid}/fd/${name}`))?.[1]
  );
  // proc(5): the fields are number, local address and port in hex, remote ones, state (0A is
  // LISTEN), …; the tenth is the inode.
  const lines = Deno.readTextFileSync(`/proc/${pid}/net/tcp`).trimEnd().split("\n").slice(1);
  return lines.map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === "0A" && sockets.includes(fields[9]))
    .map((fields) => parseInt(fields[1]!.split(":")[1]!, 16));
}
