/**
 * One run: the proxy's process from start to end.
 *
 * ```
 *   check the host ─► start routers ─► "I'm up" ─► settings ─► ready ─► packets … ─► stop ─► undo
 *                     └ TUN meanwhile ┘
 * ```
 *
 * @module
 */
import { formatCidr } from "../config/cidr.ts";
import type { RouterSettings } from "../control/message.ts";
import type { Settings } from "../config/settings.ts";
import { ExitCode, OperatorError } from "../errors.ts";
import { hopOf } from "../exit/raw_icmp.ts";
import { hasCapability } from "../host/capability.ts";
import { Journal, undoLeftovers, type Undone } from "../host/journal.ts";
import { requireLoopback, requireTunHost } from "../host/preflight.ts";
import { makeChanges } from "../host/change.ts";
import type { HostExit } from "../host/exits.ts";
import { firewallTool, planCommands, planHost } from "../host/plan.ts";
import { readHostState } from "../host/state.ts";
import { openHostTun } from "../host/tun.ts";
import { HostWatch } from "../host/watch.ts";
import { proxyLine, routerLine } from "../log/classic.ts";
import { diagnostics, setUpDiagnostics } from "../log/diagnostics.ts";
import { LineFile } from "../log/line_file.ts";
import type { RouterNodeConfig } from "../loop/node.ts";
import { PacketThread } from "../loop/thread.ts";
import { MAX_CELL_PACKET } from "../proxy/proxy.ts";
import { UdpSocket } from "../sys/udp.ts";
import type { Cidr } from "../wire/cidr.ts";
import { IcmpType } from "../wire/icmp.ts";
import { unlessAborted } from "./abort.ts";
import { LINK_BUFFER, LOOPBACK_ADDRESS } from "./data_link.ts";
import { logEvents } from "./event_log.ts";
import { makeOutput, type Output } from "./output.ts";
import { Routers } from "./routers.ts";
import { moduleUrl } from "./self.ts";
import { type RunReport, summaryObject, summaryText } from "./summary.ts";

/** The one router of stages 1 to 3, and the circuit to it. */
const ROUTER = 1;
const CIRCUIT = 1;

/** The ICMP types that a raw ICMP exit takes in from the world. */
const WORLD_TYPES = [
  IcmpType.echoReply,
  IcmpType.destinationUnreachable,
  IcmpType.timeExceeded,
  IcmpType.parameterProblem,
];

/**
 * Runs a stage until `signal` aborts.
 *
 * @param signal aborts with the name of what ended the run, e.g. `SIGINT`
 * @throws {OperatorError} when something failed; everything has been undone by then
 */
export async function runStage(settings: Settings, signal: AbortSignal): Promise<ExitCode> {
  const started = performance.now();
  await setUpDiagnostics(settings.logLevel);
  const output = makeOutput(settings.json);
  if (settings.printCommands) {
    console.log(planCommands(settings, await readHostState(), Deno.pid).join("\n"));
    return ExitCode.ok;
  }
  requireLoopback();
  if (settings.stage.traffic) requireTunHost(settings.stage);
  const failure = new AbortController();
  let run: Run | undefined;
  {
    await using stack = new AsyncDisposableStack();
    try {
      run = new Run(
        settings,
        stack,
        output,
        AbortSignal.any([signal, failure.signal]),
        (e) => failure.abort(e),
      );
      await run.start();
      await run.untilOver();
    } catch (error) {
      if (!signal.aborted) failure.abort(error);
    }
  }
  if (failure.signal.aborted) {
    await output.close();
    throw failure.signal.reason;
  }
  const report = run?.report(String(signal.reason), performance.now() - started);
  if (report !== undefined) output.result(summaryText(report), summaryObject(report));
  await output.close();
  return ExitCode.ok;
}

/** The parts of a run. They lie on a stack that closes them in reverse order, whatever happens. */
class Run {
  readonly #settings: Settings;
  readonly #output: Output;
  readonly #over: AbortSignal;
  readonly #fail: (error: unknown) => void;
  readonly #log = diagnostics("proxy");
  readonly #journal = new Journal();
  /** What the packet thread uses: closed after it. */
  readonly #devices: DisposableStack;
  readonly #stack: AsyncDisposableStack;
  readonly #file: LineFile;
  #thread: PacketThread | undefined;
  #routers: Routers | undefined;

  constructor(
    settings: Settings,
    stack: AsyncDisposableStack,
    output: Output,
    over: AbortSignal,
    fail: (error: unknown) => void,
  ) {
    this.#settings = settings;
    this.#output = output;
    this.#over = over;
    this.#fail = fail;
    this.#stack = stack;
    stack.defer(async () => {
      const undone = await this.#journal.undo();
      this.#sayUndone(undone);
      const failed = undone.filter(({ outcome }) => outcome === "failed");
      if (failed.length === 0) return;
      const what = failed.map(({ change, reason }) => `${change} (${reason})`).join(", ");
      fail(new OperatorError(`cannot undo: ${what}`, "mend the cause, then run `onion down`"));
    });
    this.#devices = stack.use(new DisposableStack());
    this.#file = stack.use(
      LineFile.create(this.#logFile("proxy"), (why) => this.#log.warn("{why}", { why })),
    );
  }

  async start(): Promise<void> {
    const { stage, tun, address } = this.#settings;
    // The slow parts, a Worker and a process, start now and come up while the host is prepared.
    if (stage.traffic) this.#thread = this.#startThread();
    this.#routers = this.#stack.use(await Routers.start(this.#settings.routers, this.#fail));
    const router = this.#routers.all[0]!;
    this.#log.debug(`started router ${router.number}, pid ${router.pid}`);
    const proxyPort = this.#thread === undefined
      ? await this.#startIdle()
      : await this.#startTraffic(this.#thread);
    this.#output.result(
      stage.traffic
        ? `ready: stage ${stage.number}, ${tun} ${
          formatCidr(address)
        }, router ${router.number} pid ${router.pid}`
        : `ready: stage ${stage.number}, router ${router.number} pid ${router.pid}`,
      {
        event: "ready",
        stage: stage.number,
        proxyPort,
        ...(stage.traffic && { tun, address: formatCidr(address) }),
      },
    );
  }

  /** Waits for the end. */
  untilOver(): Promise<never> {
    return unlessAborted(new Promise<never>(() => {}), this.#over);
  }

  report(endedBy: string, uptime: number): RunReport {
    const routers = this.#routers?.all ?? [];
    return {
      endedBy,
      uptime,
      parties: [
        ...(this.#thread === undefined
          ? []
          : [{ party: "proxy", counters: this.#thread.counters.snapshot() }]),
        ...(this.#settings.stage.traffic ? routers : []).map(({ number, counters }) => ({
          party: `router ${number}`,
          counters,
        })),
      ],
      rejected: this.#routers?.rejected ?? {},
    };
  }

  async #startIdle(): Promise<number> {
    const routers = this.#routers!;
    // It changes nothing on the host, but what a run that died has left is undone by any start that may.
    if (hasCapability("CAP_NET_ADMIN")) this.#sayUndone(await undoLeftovers());
    this.#file.line(proxyLine(routers.controlPort));
    await routers.up(ROUTER, this.#over);
    const port = await routers.configure(ROUTER, { logFile: this.#logFile("router1") }, this.#over);
    this.#introduce(port);
    return routers.controlPort;
  }

  async #startTraffic(thread: PacketThread): Promise<number> {
    const { address, stage } = this.#settings;
    const logsPackets = !this.#settings.noPacketLog;
    const routers = this.#routers!;
    const { tun, mtu, exits } = await this.#prepareHost();
    const socket = this.#devices.use(UdpSocket.bind(LOOPBACK_ADDRESS, LINK_BUFFER));
    const proxyPort = socket.localPort;
    this.#file.line(proxyLine(proxyPort));
    await routers.up(ROUTER, this.#over);
    const port = await routers.configure(ROUTER, {
      logFile: this.#logFile("router1"),
      traffic: {
        proxyPort,
        logsPackets,
        ...exitSettings(address, exits[ROUTER - 1], {
          neighbours: [{ port: proxyPort, circuit: CIRCUIT }],
          mtu: Math.min(mtu, MAX_CELL_PACKET),
        }),
      },
    }, this.#over);
    this.#introduce(port);
    const config = {
      routers: [{ port, circuit: CIRCUIT }],
      ...(stage.captures && { refuseAs: hopOf(address) }),
    };
    const role = { kind: "proxy", config, tun: tun.fd.number } as const;
    await unlessAborted(
      thread.start(role, socket.fd.number, [{ address: LOOPBACK_ADDRESS, port }], logsPackets),
      this.#over,
    );
    return proxyPort;
  }

  /** Brings TUN, addresses, rules, routes and firewall into the state that the stage needs. */
  async #prepareHost() {
    const { tun: name, stage } = this.#settings;
    // Not cut short by an abort: a change to the host that has begun is finished, so that it can be undone.
    this.#sayUndone(await undoLeftovers());
    const tool = firewallTool();
    if (stage.captures && tool === undefined) {
      this.#log.warn(
        "neither nft nor iptables is here: packets of sockets that are bound to no address are not captured",
      );
    }
    const { changes, exits, mtu, needs } = planHost(this.#settings, await readHostState(), Deno.pid, tool);
    const tun = this.#devices.use(await openHostTun(name));
    await makeChanges(changes, this.#journal, tun.existed);
    this.#stack.use(new HostWatch(needs, ({ level, text }) => this.#log[level]("{text}", { text })));
    return { tun, exits, mtu };
  }

  #startThread(): PacketThread {
    const thread = new PacketThread(moduleUrl("src/loop/packet_thread.ts"));
    thread.failed.then((reason) =>
      this.#fail(new OperatorError(`packets stopped: ${reason}`, "see `ip link`"))
    );
    const logging = logEvents(thread, this.#file, this.#output);
    this.#stack.defer(() => logging);
    return this.#stack.use(thread);
  }

  #introduce(port: number): void {
    const { number, pid } = this.#routers!.all[0]!;
    this.#file.line(routerLine(number, pid, port));
    this.#file.flush();
  }

  #logFile(party: string): string {
    const { stage, logDir } = this.#settings;
    return `${logDir}/stage${stage.number}.${party}.out`;
  }

  #sayUndone(undone: readonly Undone[]): void {
    for (const { change, outcome, reason } of undone) {
      if (outcome === "failed") this.#log.warn("cannot undo: {change}: {reason}", { change, reason });
      else this.#log.debug("{outcome}: {change}", { outcome, change });
    }
  }
}

/** The part of a router's settings that says how packets leave. */
function exitSettings(
  block: Cidr,
  exit: HostExit | undefined,
  node: Omit<RouterNodeConfig, "exit">,
): Pick<NonNullable<RouterSettings["traffic"]>, "node" | "socket"> {
  if (exit === undefined) return { node: { ...node, exit: { kind: "echo", block } } };
  const { address, mtu, device, mark } = exit;
  return {
    node: { ...node, exit: { kind: "raw-icmp", address, mtu, hop: hopOf(block) } },
    socket: { address, device, mark, types: WORLD_TYPES },
  };
}
