import assert from "node:assert/strict";
import { ControlChannel } from "../../src/control/channel.ts";
import { FrameCodec, makeSessionKey, PROXY } from "../../src/control/frame.ts";
import { ROUTER_MESSAGE, type RouterMessage } from "../../src/control/messages.ts";
import { type JsonCodec, record, text } from "../../src/json.ts";
import { RouterEnvironment } from "../../src/run/launch/environment.ts";
import { selfCommand } from "../../src/run/self.ts";

const ROUTER = 1;

Deno.test("router process: says so and ends when the proxy's settings make no sense", async () => {
  const messages: RouterMessage[] = [];
  const up = Promise.withResolvers<void>();
  // The test plays the proxy, and may send any message with a type.
  const anything: JsonCodec<{ readonly type: string }> = record({ type: text });
  await using channel = new ControlChannel({
    self: PROXY,
    mine: anything,
    theirs: ROUTER_MESSAGE,
    take(_, message) {
      messages.push(message);
      up.resolve();
    },
    refused: (_, error) => assert.fail(error),
  });
  const key = makeSessionKey();
  channel.addParty(ROUTER, await FrameCodec.of(key));
  const { command, args } = selfCommand(["router"]);
  const child = new Deno.Command(command, {
    args,
    env: {
      [RouterEnvironment.number]: String(ROUTER),
      [RouterEnvironment.controlPort]: String(channel.port),
      NO_COLOR: "1",
    },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const stdin = child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(`${key.toHex()}\n`));
  await up.promise;
  channel.say(ROUTER, { type: "settings" });
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  await stdin.close().catch(() => {});

  const why = "the proxy sent a control message that makes no sense: settings.version is missing";
  assert.deepEqual([code, stderr], [1, `${why}\n`]);
  assert.deepEqual(messages.at(-1), { type: "failed", message: why });
});
