/**
 * A router's process, which the proxy starts as `onion router`.
 *
 * @module
 */
import { hasLayers, isBuilt } from "../circuit/kind.ts";
import { ControlChannel } from "../control/channel.ts";
import { FrameCodec, PROXY, SESSION_KEY } from "../control/frame.ts";
import {
  PROTOCOL_VERSION,
  PROXY_MESSAGE,
  type ProxyMessage,
  type ReplacedRouter,
  ROUTER_MESSAGE,
  type RouterMessage,
  type RouterSettings,
} from "../control/messages.ts";
import { chooseProvider } from "../crypto/provider/choose.ts";
import { wipe } from "../crypto/wipe.ts";
import { ConfigError, ExitCode } from "../errors.ts";
import { EXITS } from "../exit/registry.ts";
import { routerLine } from "../log/classic.ts";
import { LineFile } from "../log/line_file.ts";
import { PacketThread } from "../runtime/thread.ts";
import { after, every } from "../sys/timer.ts";
import { UdpSocket } from "../sys/udp.ts";
import { greetAll, LINK_BUFFER, silentNeighbours } from "./data_link.ts";
import { logEvents } from "./event_log.ts";
import { RouterEnvironment } from "./launch/environment.ts";
import { setUpRouter } from "./router_setup.ts";
import { moduleUrl } from "./self.ts";

/** Milliseconds between two `alive` messages. */
const HEARTBEAT = 1000;

/** Milliseconds that the proxy has to acknowledge the last message. */
const FAREWELL = 1000;

/**
 * Milliseconds to wait for `stop` after SIGTERM, because the proxy may have got that signal too.
 */
const SAME_SIGNAL = 300;

/** Runs a router until the proxy says `stop` or is gone. */
export async function runRouter(): Promise<ExitCode> {
  // Ctrl+C reaches every process of the terminal, but the proxy decides when a router stops.
  // SIGTERM may reach every process of a service, or only this one.
  for (const signal of ["SIGINT", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
  const terminated = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGTERM", () => void after(SAME_SIGNAL, terminated.resolve));
  const thread = new PacketThread(moduleUrl("src/runtime/packet_thread.ts"));
  const number = environmentNumber(RouterEnvironment.number);
  const controlPort = environmentNumber(RouterEnvironment.controlPort);
  const parent = await Parent.meet();

  const stop = Promise.withResolvers<void>();
  const settings = Promise.withResolvers<RouterSettings>();
  const misled = Promise.withResolvers<string>();
  /** Resolves when packets travel, so that a neighbour can be replaced. */
  const serving = Promise.withResolvers<(other: ReplacedRouter) => void>();
  await using channel = new ControlChannel<RouterMessage, ProxyMessage>({
    self: number,
    mine: ROUTER_MESSAGE,
    theirs: PROXY_MESSAGE,
    take(_, message) {
      switch (message.type) {
        case "settings":
          return settings.resolve(message);
        case "neighbour":
          return void serving.promise.then((replace) => replace(message));
        case "stop":
          return stop.resolve();
      }
    },
    refused: (_, { message }) =>
      misled.resolve(`the proxy sent a control message that makes no sense: ${message}`),
  });
  channel.addParty(PROXY, await FrameCodec.of(parent.sessionKey), controlPort);
  using socket = UdpSocket.bindLoopback(LINK_BUFFER);
  const port = socket.localPort;
  channel.say(PROXY, { type: "up", version: PROTOCOL_VERSION, pid: Deno.pid, port });

  const counts = () => ({ counters: thread.counters.snapshot(), rejected: channel.rejected });
  const stopHeartbeat = every(HEARTBEAT, () => {
    // If the proxy does not answer, e.g. because Ctrl+Z stopped it, messages would only queue up.
    if (channel.isQuiet) channel.say(PROXY, { type: "alive", ...counts() });
  });
  const end = Promise.race([
    stop.promise.then(() => ({ kind: "stopped" }) as const),
    parent.gone.then(() => ({ kind: "orphaned" }) as const),
    misled.promise.then((message) => ({ kind: "failed", message }) as const),
    thread.failed.then((message) => ({ kind: "failed", message }) as const),
    terminated.promise.then(() => ({ kind: "failed", message: "ended by SIGTERM" }) as const),
  ]);
  try {
    const first = await Promise.race([
      settings.promise.then((settings) => ({ kind: "settings", settings }) as const),
      end,
    ]);
    const reason = first.kind === "settings" ? await serve(first.settings) : first;
    if (reason.kind === "orphaned") Deno.exit(ExitCode.failed);
    if (reason.kind === "failed") {
      console.error(reason.message);
      channel.say(PROXY, { type: "failed", message: reason.message });
    } else channel.say(PROXY, { type: "stopped", ...counts() });
    await channel.flush(FAREWELL);
    return reason.kind === "stopped" ? ExitCode.ok : ExitCode.failed;
  } finally {
    stopHeartbeat();
    await thread[Symbol.asyncDispose]();
  }

  /** Carries packets until the end. The log is complete by then. */
  async function serve({ logFile, traffic }: RouterSettings): Promise<Awaited<typeof end>> {
    const setup = traffic && setUpRouter(number, port, traffic);
    // The members of a network greet when it starts, and a new process of a router comes later.
    const greets = setup !== undefined && traffic?.continues !== true;
    // First, because the neighbours wait for it.
    if (greets) greetAll(socket, setup.node.neighbours);
    await using log = traffic?.continues
      ? LineFile.continue(logFile, console.error)
      : LineFile.create(logFile, console.error);
    // Without packets, the only traffic to be seen is that of the control channel.
    const seen = traffic === undefined ? channel.port : port;
    log.line(
      routerLine(number, Deno.pid, seen, traffic && isBuilt(traffic.circuits) ? traffic.address : undefined),
    );
    log.flush();
    if (traffic === undefined || setup === undefined) {
      channel.say(PROXY, { type: "ready" });
      return await end;
    }
    const keys = hasLayers(traffic.circuits) ? (await chooseProvider()).generateKeyPair() : undefined;
    const { exit } = traffic;
    using device = (await EXITS[exit.kind].loadDevice?.())?.openDevice(exit, LINK_BUFFER);
    const role = { kind: "router", config: setup.node, exit, keys, device: device?.number } as const;
    const silent = greets ? await silentNeighbours(socket, setup.node.neighbours) : [];
    await thread.start(role, socket.fd.number, setup.node.neighbours, setup.thread);
    if (keys !== undefined) wipe(keys.privateKey);
    serving.resolve(({ number, link }) => {
      const index = traffic.routers.findIndex((router) => router.number === number);
      if (index < 0) return misled.resolve(`the proxy replaced router ${number}, which is no neighbour`);
      // The proxy is the first neighbour.
      thread.replaceNeighbour(1 + index, link && { link });
    });
    const logging = logEvents(thread, log);
    channel.say(PROXY, {
      type: "ready",
      ...(keys && { key: keys.publicKey }),
      // The proxy is the first neighbour.
      ...(silent.length > 0 && { silent: silent.map((index) => traffic.routers[index - 1]?.number ?? 0) }),
    });
    const reason = await end;
    await thread[Symbol.asyncDispose]();
    await logging;
    return reason;
  }
}

/** The proxy, which holds the other end of stdin. */
class Parent {
  /**
   * @param sessionKey the key of the control channel
   * @param gone resolves when the proxy has ended, however that happened
   */
  private constructor(readonly sessionKey: Uint8Array<ArrayBuffer>, readonly gone: Promise<void>) {}

  static async meet(): Promise<Parent> {
    // Not `stdin.readable`: a process's first stream takes 9 ms to create, and the proxy waits.
    const bytes = new Uint8Array(2 * SESSION_KEY + 1);
    let text = "";
    while (!text.includes("\n")) {
      const length = await Deno.stdin.read(bytes);
      if (length === null) throw notForPeople();
      text += new TextDecoder().decode(bytes.subarray(0, length));
    }
    const digits = text.slice(0, text.indexOf("\n"));
    if (!new RegExp(`^[0-9a-f]{${2 * SESSION_KEY}}$`).test(digits)) throw notForPeople();
    const gone = (async () => {
      while (await Deno.stdin.read(bytes) !== null);
    })();
    return new Parent(Uint8Array.fromHex(digits), gone);
  }
}

function environmentNumber(name: string): number {
  const text = Deno.env.get(name) ?? "";
  if (!/^[1-9]\d{0,4}$/.test(text)) throw notForPeople();
  return Number(text);
}

function notForPeople(): ConfigError {
  return new ConfigError("only the proxy starts `onion router`", "run `onion --stage 2`");
}
