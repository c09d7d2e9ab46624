import assert from "node:assert/strict";
import { ControlChannel } from "../../src/control/channel.ts";
import { type Frame, FrameCodec, FrameKind, makeSessionKey, PROXY } from "../../src/control/frame.ts";
import {
  PROTOCOL_VERSION,
  PROXY_MESSAGE,
  type ProxyMessage,
  ROUTER_MESSAGE,
  type RouterMessage,
} from "../../src/control/messages.ts";
import { LOOPBACK } from "../../src/ip/address.ts";
import type { RouterHandle } from "../../src/run/launch/launcher.ts";
import { type BodyEnd, type RouterBody, Supervisor } from "../../src/run/launch/supervisor.ts";
import { sleep } from "../../src/sys/timer.ts";

const REMEDY = "start again, with --log-level debug to see more";

/** A body that the test ends, in the place of a process. */
class FakeBody implements RouterBody {
  readonly #ended = Promise.withResolvers<BodyEnd>();
  readonly label: string;
  lastWords = "";
  isReleased = false;
  isHalted = false;

  constructor(readonly number: number) {
    this.label = `router ${number} (fake)`;
  }

  get ended(): Promise<BodyEnd> {
    return this.#ended.promise;
  }

  end(how: string, bySharedSignal = false): void {
    this.#ended.resolve({ how, bySharedSignal });
  }

  kill(): void {
    this.end("SIGKILL");
  }

  release(): Promise<void> {
    this.isReleased = true;
    return Promise.resolve();
  }
}

/** A supervised router whose other end of the control channel is the test's. */
class Router implements AsyncDisposable {
  private constructor(
    readonly body: FakeBody,
    readonly handle: RouterHandle,
    readonly codec: FrameCodec,
    readonly channel: ControlChannel<RouterMessage, ProxyMessage>,
    /** The types of the messages that it has heard. */
    readonly heard: readonly string[],
  ) {}

  static async launch(supervisor: Supervisor, number = 1): Promise<Router> {
    const key = makeSessionKey();
    const codec = await FrameCodec.of(key);
    const body = new FakeBody(number);
    const heard: string[] = [];
    const channel = new ControlChannel<RouterMessage, ProxyMessage>({
      self: number,
      mine: ROUTER_MESSAGE,
      theirs: PROXY_MESSAGE,
      take(_, { type }) {
        heard.push(type);
        if (type === "stop") body.end("exit code 0");
      },
      refused: (_, error) => assert.fail(error),
    });
    channel.addParty(PROXY, codec, supervisor.port);
    return new Router(body, await supervisor.supervise(body, key), codec, channel, heard);
  }

  /** Says that the router is up, and waits until the proxy knows. */
  async comeUp(): Promise<void> {
    this.channel.say(PROXY, { type: "up", version: PROTOCOL_VERSION, pid: 4711, port: 40_001 });
    await this.handle.up;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.handle.stop();
    await this.channel[Symbol.asyncDispose]();
  }
}

Deno.test("supervisor: a router comes up, is configured, becomes ready, and stops when asked", async () => {
  await using supervisor = new Supervisor();
  await using router = await Router.launch(supervisor);
  const { handle, channel } = router;
  await router.comeUp();
  const up = await handle.up;
  assert.deepEqual([up.pid, up.link.port, up.controlPort], [4711, 40_001, channel.port]);
  handle.configure({ logFile: "log" });
  const key = makeSessionKey();
  channel.say(PROXY, { type: "ready", key });
  assert.deepEqual((await handle.ready).key, key);
  channel.say(PROXY, { type: "alive", counters: { "link-in": 7 }, rejected: 3 });
  await channel.flush(5000);
  assert.deepEqual([handle.counters, handle.rejected], [{ "link-in": 7 }, 3]);
  assert.equal(await handle.stop(), true);
  assert.ok(router.body.isReleased);
  assert.deepEqual(router.heard, ["settings", "stop"]);
});

Deno.test("supervisor: a router that is not up yet is killed, not asked, to stop", async () => {
  await using supervisor = new Supervisor();
  await using router = await Router.launch(supervisor);
  assert.equal(await router.handle.stop(), true);
  assert.deepEqual(await router.body.ended, { how: "SIGKILL", bySharedSignal: false });
});

Deno.test("supervisor: a message that makes no sense fails the router, and names the field", async () => {
  await using supervisor = new Supervisor();
  await using router = await Router.launch(supervisor);
  const frame: Frame = {
    kind: FrameKind.message,
    from: 1,
    to: PROXY,
    sequence: 1,
    message: { type: "up", version: PROTOCOL_VERSION, pid: 4711, port: 0 },
  };
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  await socket.send(await router.codec.seal(frame), {
    transport: "udp",
    hostname: "127.0.0.1",
    port: supervisor.port,
  });
  const { message, remedy } = await router.handle.failed;
  socket.close();
  assert.equal(
    message,
    "router 1 sent a control message that makes no sense: up.port must be an integer from 1 to 65535",
  );
  assert.equal(remedy, REMEDY);
});

Deno.test("supervisor: a router that cannot go on fails with its own words", async () => {
  await using supervisor = new Supervisor();
  await using router = await Router.launch(supervisor);
  router.channel.say(PROXY, { type: "failed", message: "no socket" });
  assert.equal((await router.handle.failed).message, "router 1 failed: no socket");
});

Deno.test("supervisor: a router that ends by itself fails with how it ended, and its last words", async () => {
  await using supervisor = new Supervisor();
  await using router = await Router.launch(supervisor);
  router.body.lastWords = "onion: out of memory";
  router.body.end("exit code 1");
  assert.equal(
    (await router.handle.failed).message,
    "router 1 (fake) died: exit code 1: onion: out of memory",
  );
});

Deno.test("supervisor: a signal that was meant for the whole run fails no router once the run stops", async () => {
  await using supervisor = new Supervisor();
  await using router = await Router.launch(supervisor);
  await router.comeUp();
  let hasFailed = false;
  void router.handle.failed.then(() => hasFailed = true);
  router.body.end("SIGTERM", true);
  await router.handle.stop();
  await router.channel.flush(10);
  assert.equal(hasFailed, false);
});

Deno.test("supervisor: one router fails without the others, and another takes its number", async () => {
  await using supervisor = new Supervisor();
  await using other = await Router.launch(supervisor, 2);
  for (const how of ["SIGKILL", "SIGSEGV"]) {
    await using router = await Router.launch(supervisor, 1);
    await router.comeUp();
    router.body.end(how);
    assert.equal((await router.handle.failed).message, `router 1 (fake) died: ${how}`);
  }
  await other.comeUp();
});

/** Milliseconds, so that a test does not take a minute. */
const SHORT = { max: 300, check: 20 } as const;

Deno.test("supervisor: a router that says nothing for too long fails", async () => {
  await using supervisor = new Supervisor(SHORT);
  await using router = await Router.launch(supervisor);
  router.body.lastWords = "thinking";
  const { message } = await router.handle.failed;
  assert.equal(message, "router 1 (fake) has said nothing for 0 s; its last words: thinking");
});

Deno.test("supervisor: a router that is stopped or frozen may be silent until it goes on", async () => {
  await using supervisor = new Supervisor(SHORT);
  await using router = await Router.launch(supervisor);
  router.body.isHalted = true;
  let hasFailed = false;
  void router.handle.failed.then(() => hasFailed = true);
  await sleep(3 * SHORT.max);
  assert.equal(hasFailed, false);
  router.body.isHalted = false;
  await router.handle.failed;
});

Deno.test("supervisor: a killed router frees its number, and what waits for it is not sent", async () => {
  await using supervisor = new Supervisor();
  await using other = await Router.launch(supervisor, 2);
  await using router = await Router.launch(supervisor);
  await router.comeUp();
  await other.comeUp();
  await router.channel[Symbol.asyncDispose]();
  router.handle.replaceNeighbour({ number: 2 });
  await router.handle.kill();
  assert.ok(router.body.isReleased);
  other.handle.replaceNeighbour({ number: 1 });
  const asked = performance.now();
  await supervisor.flush(5000);
  assert.ok(performance.now() - asked < 2500, "nobody waits for the dead router");
  await using next = await Router.launch(supervisor);
  await next.comeUp();
  next.handle.replaceNeighbour({ number: 2, link: { address: LOOPBACK, port: 40_009 } });
  await supervisor.flush(5000);
  assert.deepEqual([next.heard, other.heard], [["neighbour"], ["neighbour"]]);
});
