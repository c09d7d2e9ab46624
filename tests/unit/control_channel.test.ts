import assert from "node:assert/strict";
import { ControlChannel, LOOPBACK } from "../../src/control/channel.ts";
import { type JsonCodec, record, text } from "../../src/json.ts";
import { type Frame, FrameCodec, FrameKind, makeSessionKey, PROXY } from "../../src/control/frame.ts";

type Message = { readonly type: string };

const MESSAGE: JsonCodec<Message> = record<Message>({ type: text });

const ROUTER = 1;
const codec = await FrameCodec.of(makeSessionKey());

/** A queue of received messages. */
class Inbox {
  readonly #messages: [from: number, type: string][] = [];
  #arrived = Promise.withResolvers<void>();

  readonly take = (from: number, { type }: Message): void => {
    this.#messages.push([from, type]);
    this.#arrived.resolve();
  };

  async next(): Promise<[from: number, type: string]> {
    while (this.#messages.length === 0) await this.#arrived.promise;
    const message = this.#messages.shift()!;
    this.#arrived = Promise.withResolvers();
    return message;
  }

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }
}

/** One end of a channel, and what it receives. */
class End implements AsyncDisposable {
  readonly inbox = new Inbox();
  readonly refused: [from: number, why: string][] = [];
  readonly channel: ControlChannel<Message, Message>;

  constructor(readonly number: number) {
    this.channel = new ControlChannel({
      self: number,
      mine: MESSAGE,
      theirs: MESSAGE,
      take: this.inbox.take,
      refused: (from, { message }) => this.refused.push([from, message]),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel[Symbol.asyncDispose]();
  }
}

/*
 *   proxy ◄───── "up" ────── router 1     the proxy learns where router 1 is
 *   proxy ───── "stop" ────► router 1
 */
function makePair(): { readonly proxy: End; readonly router: End } & AsyncDisposable {
  const proxy = new End(PROXY);
  const router = new End(ROUTER);
  proxy.channel.addParty(ROUTER, codec);
  router.channel.addParty(PROXY, codec, proxy.channel.port);
  return {
    proxy,
    router,
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

/** The socket of a stranger, who is no party. */
function makeStranger() {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port: 0 });
  return {
    socket,
    async send(port: number, bytes: Uint8Array): Promise<void> {
      await socket.send(bytes, { transport: "udp", hostname: LOOPBACK, port });
    },
    [Symbol.dispose]: () => socket.close(),
  };
}

Deno.test("control channel: carries messages both ways once the router has spoken", async () => {
  await using pair = makePair();
  const { proxy, router } = pair;
  router.channel.say(PROXY, { type: "up" });
  assert.deepEqual(await proxy.inbox.next(), [ROUTER, "up"]);
  proxy.channel.say(ROUTER, { type: "settings" });
  proxy.channel.say(ROUTER, { type: "stop" });
  assert.deepEqual(await router.inbox.next(), [PROXY, "settings"]);
  assert.deepEqual(await router.inbox.next(), [PROXY, "stop"]);
  await Promise.all([proxy.channel.flush(5000), router.channel.flush(5000)]);
  assert.ok(proxy.inbox.isEmpty && router.inbox.isEmpty);
  assert.equal(proxy.channel.rejected + router.channel.rejected, 0);
});

Deno.test("control channel: tells several routers apart", async () => {
  await using proxy = new End(PROXY);
  await using stack = new AsyncDisposableStack();
  for (const number of [1, 2, 3]) {
    const router = stack.use(new End(number));
    proxy.channel.addParty(number, codec);
    router.channel.addParty(PROXY, codec, proxy.channel.port);
    router.channel.say(PROXY, { type: `up ${number}` });
    assert.deepEqual(await proxy.inbox.next(), [number, `up ${number}`]);
    proxy.channel.say(number, { type: `stop ${number}` });
    assert.deepEqual(await router.inbox.next(), [PROXY, `stop ${number}`]);
  }
});

Deno.test("control channel: repeats an early message until the router is there", async () => {
  await using pair = makePair();
  const { proxy, router } = pair;
  proxy.channel.say(ROUTER, { type: "settings" });
  router.channel.say(PROXY, { type: "up" });
  assert.deepEqual(await router.inbox.next(), [PROXY, "settings"]);
});

Deno.test("control channel: carries a message of the max length", async () => {
  await using pair = makePair();
  const type = "x".repeat(65_507 - 8 - 32 - '{"type":""}'.length);
  pair.router.channel.say(PROXY, { type });
  assert.deepEqual(await pair.proxy.inbox.next(), [ROUTER, type]);
});

Deno.test("control channel: counts and ignores forged and garbled datagrams", async () => {
  await using pair = makePair();
  const { proxy, router } = pair;
  using stranger = makeStranger();
  router.channel.say(PROXY, { type: "up" });
  await proxy.inbox.next();

  const frame: Frame<Message> = {
    kind: FrameKind.message,
    from: ROUTER,
    to: PROXY,
    sequence: 2,
    message: { type: "stopped" },
  };
  const authentic = await codec.seal(frame);
  const otherKey = await FrameCodec.of(makeSessionKey());
  const flipped = authentic.slice();
  flipped[10]! ^= 1;
  const forged: [what: string, datagram: Uint8Array][] = [
    ["nothing", new Uint8Array()],
    ["noise", crypto.getRandomValues(new Uint8Array(100))],
    ["noise of the max length", new Uint8Array(65_507)],
    ["another session's key", await otherKey.seal(frame)],
    ["one flipped bit", flipped],
    ["cut short", authentic.subarray(0, -1)],
    ["an unknown router", await codec.seal({ ...frame, from: 9 })],
    ["for another party", await codec.seal({ ...frame, to: 9 })],
    ["our own, sent back", await codec.seal({ ...frame, from: PROXY, to: ROUTER })],
    ["our own to us", await codec.seal({ ...frame, from: PROXY, to: PROXY })],
    ["ahead of its turn", await codec.seal({ ...frame, sequence: 3 })],
    ["no sequence number", await codec.seal({ ...frame, sequence: 0 })],
  ];
  for (const [, datagram] of forged) await stranger.send(proxy.channel.port, datagram);

  // Datagrams arrive in order, so all of the above have been handled when this one arrives.
  router.channel.say(PROXY, { type: "ready" });
  assert.deepEqual(await proxy.inbox.next(), [ROUTER, "ready"]);
  assert.equal(proxy.channel.rejected, forged.length);
  assert.ok(proxy.inbox.isEmpty);
});

Deno.test("control channel: reports an authentic message that makes no sense, once, and goes on", async () => {
  await using pair = makePair();
  const { proxy, router } = pair;
  router.channel.say(PROXY, { type: "up" });
  await proxy.inbox.next();
  using stranger = makeStranger();
  const frame: Frame = {
    kind: FrameKind.message,
    from: ROUTER,
    to: PROXY,
    sequence: 2,
    message: { type: 7 },
  };
  for (let copy = 0; copy < 2; copy++) await stranger.send(proxy.channel.port, await codec.seal(frame));
  await stranger.send(
    proxy.channel.port,
    await codec.seal({ ...frame, sequence: 3, message: { type: "ready" } }),
  );
  assert.deepEqual(await proxy.inbox.next(), [ROUTER, "ready"]);
  assert.deepEqual(proxy.refused, [[ROUTER, "type must be text"]]);
  assert.equal(proxy.channel.rejected, 0);
});

Deno.test("control channel: speaks with a router that was started again under the same number", async () => {
  await using proxy = new End(PROXY);
  for (const type of ["first", "second"]) {
    const key = await FrameCodec.of(makeSessionKey());
    proxy.channel.addParty(ROUTER, key);
    await using router = new End(ROUTER);
    router.channel.addParty(PROXY, key, proxy.channel.port);
    router.channel.say(PROXY, { type });
    assert.deepEqual(await proxy.inbox.next(), [ROUTER, type]);
    proxy.channel.say(ROUTER, { type });
    assert.deepEqual(await router.inbox.next(), [PROXY, type]);
  }
});

Deno.test("control channel: refuses a frame that one router's key signs in another's name", async () => {
  await using proxy = new End(PROXY);
  const keys = await Promise.all([1, 2].map(() => FrameCodec.of(makeSessionKey())));
  await using stack = new AsyncDisposableStack();
  const routers = keys.map((key, index) => {
    proxy.channel.addParty(index + 1, key);
    const router = stack.use(new End(index + 1));
    router.channel.addParty(PROXY, key, proxy.channel.port);
    return router;
  });
  const frame: Frame<Message> = {
    kind: FrameKind.message,
    from: 1,
    to: PROXY,
    sequence: 1,
    message: { type: "up" },
  };
  using stranger = makeStranger();
  await stranger.send(proxy.channel.port, await keys[1]!.seal(frame));

  // Datagrams arrive in order, so the claim has been handled when router 2 is heard.
  routers[1]!.channel.say(PROXY, { type: "up" });
  assert.deepEqual(await proxy.inbox.next(), [2, "up"]);
  assert.equal(proxy.channel.rejected, 1);
  routers[0]!.channel.say(PROXY, { type: "up" });
  assert.deepEqual(await proxy.inbox.next(), [1, "up"], "and router 1 is where it says itself");
  proxy.channel.say(1, { type: "stop" });
  assert.deepEqual(await routers[0]!.inbox.next(), [PROXY, "stop"]);
  assert.ok(proxy.inbox.isEmpty);
});

Deno.test("control channel: ignores a recorded frame from another port, and keeps the router's port", async () => {
  await using pair = makePair();
  const { proxy, router } = pair;
  using stranger = makeStranger();
  router.channel.say(PROXY, { type: "up" });
  await proxy.inbox.next();
  const up = {
    kind: FrameKind.message,
    from: ROUTER,
    to: PROXY,
    sequence: 1,
    message: { type: "up" },
  } as const;
  await stranger.send(proxy.channel.port, await codec.seal(up));

  // Datagrams arrive in order, so the stranger's has been handled when router 2 is heard.
  await using other = new End(2);
  proxy.channel.addParty(2, codec);
  other.channel.addParty(PROXY, codec, proxy.channel.port);
  other.channel.say(PROXY, { type: "up" });
  assert.deepEqual(await proxy.inbox.next(), [2, "up"]);
  // This would go to the stranger if it had been taken for the router.
  proxy.channel.say(ROUTER, { type: "stop" });
  assert.deepEqual(await router.inbox.next(), [PROXY, "stop"]);
  assert.ok(proxy.inbox.isEmpty);
});

Deno.test("control channel: flush ends with the last acknowledgement, for every caller", async () => {
  await using pair = makePair();
  const { proxy, router } = pair;
  const never = 2 ** 30;
  await router.channel.flush(never);
  for (const type of ["up", "ready", "stopped"]) router.channel.say(PROXY, { type });
  await Promise.all([router.channel.flush(never), router.channel.flush(never)]);
  for (const type of ["up", "ready", "stopped"]) assert.deepEqual(await proxy.inbox.next(), [ROUTER, type]);
});

Deno.test("control channel: flush ends after its timeout without an acknowledgement", async () => {
  await using router = new End(ROUTER);
  using deaf = makeStranger();
  router.channel.addParty(PROXY, codec, (deaf.socket.addr as Deno.NetAddr).port);
  router.channel.say(PROXY, { type: "stopped" });
  await router.channel.flush(10);
});

Deno.test("control channel: closing ends a flush and all repetition, and may happen twice", async () => {
  const router = new End(ROUTER);
  using deaf = makeStranger();
  router.channel.addParty(PROXY, codec, (deaf.socket.addr as Deno.NetAddr).port);
  router.channel.say(PROXY, { type: "stopped" });
  const flushed = router.channel.flush(2 ** 30);
  await router[Symbol.asyncDispose]();
  await flushed;
  await router[Symbol.asyncDispose]();
  router.channel.say(PROXY, { type: "and yet" });
  await router.channel.flush(2 ** 30);
});

Deno.test("control channel: closing still sends an acknowledgement that has begun", async () => {
  await using pair = makePair();
  const { proxy, router } = pair;
  router.channel.say(PROXY, { type: "failed" });
  await router[Symbol.asyncDispose]();
  assert.deepEqual(await proxy.inbox.next(), [ROUTER, "failed"]);
});

Deno.test("control channel: works on when one party is gone", async () => {
  await using pair = makePair();
  const { proxy, router } = pair;
  router.channel.say(PROXY, { type: "up" });
  await proxy.inbox.next();
  await router[Symbol.asyncDispose]();
  proxy.channel.say(ROUTER, { type: "stop" });
  await proxy.channel.flush(10);

  await using other = new End(2);
  proxy.channel.addParty(2, codec);
  other.channel.addParty(PROXY, codec, proxy.channel.port);
  other.channel.say(PROXY, { type: "up" });
  assert.deepEqual(await proxy.inbox.next(), [2, "up"]);
});
