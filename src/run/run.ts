/**
 * One run: the proxy's process from its start to its end.
 *
 * ```
 *   check the host ─► start routers ─► "up" ─► settings ─► ready ─► packets … ─► stop ─┬► undo
 *                     └ prepare host ─┘                                                └► stay closed
 * ```
 *
 * @module
 */
import { hasLayers, isBuilt } from "../circuit/kind.ts";
import type { Settings } from "../config/settings.ts";
import type { RouterSettings } from "../control/messages.ts";
import { ExitCode, OperatorError } from "../errors.ts";
import { hasCapability } from "../sys/capability.ts";
import { clearLeftovers, ClosedCaptures, Journal, type Undone } from "../host/apply/journal.ts";
import { requireLoopback, requireTunHost } from "../host/preflight.ts";
import { makeChanges } from "../host/apply/make_changes.ts";
import { firewallTool } from "../host/apply/programs.ts";
import { planCommands, planHost } from "../host/host_plan.ts";
import { explainLoopback, sourceOnLoopback } from "../host/loopback.ts";
import { readHostState } from "../host/state.ts";
import type { HostState } from "../host/plan/state.ts";
import { openHostTun } from "../host/open_tun.ts";
import { HostWatch } from "../host/watch.ts";
import { Ways } from "../host/ways.ts";
import { proxyLine, routerLine } from "../log/classic.ts";
import { diagnostics, diagnosticsWritten, setUpDiagnostics } from "../log/diagnostics.ts";
import { LineFile } from "../log/line_file.ts";
import { longestOf, type Network, proxyConfig } from "../node/network.ts";
import { PacketThread } from "../runtime/thread.ts";
import { currentCpu } from "../sys/affinity.ts";
import { createOwnedDirectory } from "../sys/file.ts";
import { UdpSocket } from "../sys/udp.ts";
import { unlessAborted } from "../sys/abort.ts";
import { greetAll, LINK_BUFFER, silentNeighbours } from "./data_link.ts";
import { logEvents } from "./event_log.ts";
import { networkOf, numbered, threadSettings, trafficSettings } from "./members.ts";
import { makeOutput, type Output } from "./output.ts";
import { threadOptions } from "./router_setup.ts";
import { Restarts } from "./restarts.ts";
import { Routers } from "./routers.ts";
import { moduleUrl } from "./self.ts";
import { type RunReport, summaryObject, summaryText } from "./summary.ts";
import { type IpAddress, LOOPBACK } from "../ip/address.ts";
import { formatCidr, hopOf } from "../ip/cidr.ts";

/**
 * Runs a stage until `signal` aborts.
 *
 * @param signal aborts with the name of the signal that ends the run, e.g. `SIGINT`, or with
 *   another text after an internal error
 * @param ahead the routers that were started early
 * @throws {OperatorError} if something failed. If the run was ready, its capture stays closed; if
 *   not, all its changes have been undone by then
 */
export async function runStage(
  settings: Settings,
  signal: AbortSignal,
  ahead: Routers | undefined,
): Promise<ExitCode> {
  const started = performance.now();
  setUpDiagnostics(settings.logLevel);
  const output = makeOutput({ json: settings.json });
  if (settings.printCommands) {
    const longest = longestOf(networkOf(settings, undefined));
    const commands = planCommands(
      settings,
      await readHostState(),
      Deno.pid,
      firewallTool() ?? "nft",
      longest,
    );
    console.log(commands.join("\n"));
    return ExitCode.ok;
  }
  requireLoopback();
  if (settings.stage.traffic) requireTunHost(settings.stage);
  const failure = new AbortController();
  let run: Run | undefined;
  {
    await using stack = new AsyncDisposableStack();
    try {
      run = new Run({
        settings,
        stack,
        output,
        over: AbortSignal.any([signal, failure.signal]),
        fail: (error) => failure.abort(error),
      });
      await run.start(ahead);
      await run.untilOver();
    } catch (error) {
      if (!signal.aborted) failure.abort(error);
    }
  }
  await diagnosticsWritten();
  if (failure.signal.aborted) {
    await output.close();
    throw failure.signal.reason;
  }
  const report = run?.report(String(signal.reason), performance.now() - started);
  if (report !== undefined) output.result(summaryText(report), summaryObject(report));
  await output.close();
  return ExitCode.ok;
}

/** Milliseconds to wait for greetings: routers send them long before they are ready. */
const LATE = 100;

/** What a run reports when it is ready. */
interface Started {
  /** The proxy's port in the classic log. */
  readonly proxyPort: number;
  /** The routers' process ids, in the order of their numbers. */
  readonly pids: readonly number[];
}

/** What a run is given. */
interface RunParts {
  readonly settings: Settings;
  /** Closes the parts of the run in reverse order, whatever happens. */
  readonly stack: AsyncDisposableStack;
  readonly output: Output;
  /** Aborts when the run is to end. */
  readonly over: AbortSignal;
  /** Ends the run with an error. */
  readonly fail: (error: unknown) => void;
}

/** What to say if captured packets are refused though no run captures. */
const Closed = {
  now: "what was captured stays refused: start again, or run `onion down` to open the host",
  since: "an earlier run died, and what it captured stays refused: run `onion down` to open the host",
} as const;

/** A run and its parts. */
class Run {
  readonly #parts: RunParts;
  readonly #log = diagnostics("proxy");
  readonly #journal = new Journal();
  /** The captures that dead runs left closed, until this run has taken them over. */
  #closed = new ClosedCaptures();
  /** Whether its end leaves the capture closed, unless a signal asked for the end. */
  #isReady = false;
  /** The devices of the packet thread, closed after it. */
  readonly #devices: DisposableStack;
  readonly #file: LineFile;
  #thread: PacketThread | undefined;
  #routers: Routers | undefined;

  constructor(parts: RunParts) {
    this.#parts = parts;
    const { stack } = parts;
    // A second Ctrl+C ends the process at once.
    const onExit = () => this.#journal.isClosing && console.error(`onion: ${Closed.now}`);
    globalThis.addEventListener("unload", onExit);
    stack.defer(async () => {
      await this.#leaveHost();
      globalThis.removeEventListener("unload", onExit);
    });
    this.#devices = stack.use(new DisposableStack());
    this.#file = stack.use(
      LineFile.create(this.#logFile("proxy"), (why) => this.#log.warn("{why}", { why })),
    );
  }

  async start(ahead: Routers | undefined): Promise<void> {
    const { stage, tun, address } = this.#parts.settings;
    // Processes and the Worker are slow, so they come up while the host is prepared. The processes
    // start first, because they take longest and creating a Worker blocks this thread. Yet they are
    // closed before the Worker.
    const threads = this.#parts.stack.use(new AsyncDisposableStack());
    const routers = this.#routers = this.#parts.stack.use(ahead ?? new Routers());
    // No failure if the run ends anyway: one signal may have reached routers and proxy alike, while
    // the proxy is still finishing a change to the host.
    routers.failed.then((error) => this.#parts.over.aborted || this.#parts.fail(error));
    await routers.start(this.#parts.settings.routers);
    if (stage.traffic) this.#thread = this.#startThread(threads);
    for (const { label } of routers.all) this.#log.debug(`started ${label}`);
    const { proxyPort, pids } = this.#thread === undefined
      ? await this.#startIdle(routers)
      : await this.#startTraffic(routers, this.#thread);
    this.#isReady = true;
    const names = pids.map((pid, index) => `router ${index + 1} pid ${pid}`).join(", ");
    this.#parts.output.result(
      stage.traffic
        ? `ready: stage ${stage.number}, ${tun} ${formatCidr(address)}, ${names}`
        : `ready: stage ${stage.number}, ${names}`,
      {
        event: "ready",
        stage: stage.number,
        proxyPort,
        ...(stage.traffic && { tun, address: formatCidr(address) }),
        routers: pids.map((pid, index) => ({ router: index + 1, pid })),
      },
    );
  }

  /** Waits until the run is to end. */
  untilOver(): Promise<never> {
    return unlessAborted(new Promise<never>(() => {}), this.#parts.over);
  }

  /** The report of the run so far. */
  report(endedBy: string, uptime: number): RunReport {
    const routers = this.#routers?.reports ?? [];
    return {
      endedBy,
      uptime,
      parties: [
        ...(this.#thread === undefined
          ? []
          : [{ party: "proxy", counters: this.#thread.counters.snapshot() }]),
        ...(this.#parts.settings.stage.traffic ? routers : []).map(({ number, counters, restarts }) => ({
          party: `router ${number}`,
          counters,
          restarts,
        })),
      ],
      rejected: this.#routers?.rejected ?? {},
    };
  }

  async #startIdle(routers: Routers): Promise<Started> {
    // This stage changes nothing on the host, but any start clears what a dead run has left, if it
    // may.
    if (hasCapability("CAP_NET_ADMIN")) await this.#clearLeftovers();
    this.#file.line(proxyLine(routers.controlPort));
    const up = await routers.allUp(this.#parts.over);
    await routers.configure((number) => ({ logFile: this.#logFile(`router${number}`) }), this.#parts.over);
    up.forEach(({ pid, controlPort }, index) => this.#introduce(index + 1, pid, controlPort));
    return { proxyPort: routers.controlPort, pids: up.map(({ pid }) => pid) };
  }

  async #startTraffic(routers: Routers, thread: PacketThread): Promise<Started> {
    const { address, stage, json } = this.#parts.settings;
    if (this.#parts.settings.pcap !== undefined) prepareDirectory(this.#parts.settings.pcap);
    const { tun, mtu, exits, from, there } = await this.#prepareHost();
    const socket = this.#devices.use(UdpSocket.bindLoopback(LINK_BUFFER));
    const proxyPort = socket.localPort;
    this.#file.line(proxyLine(proxyPort));
    // The settings name all routers' links, so they wait for the last router to come up.
    const up = await routers.allUp(this.#parts.over);
    const network: Network = {
      ...networkOf(this.#parts.settings, from),
      tunMtu: mtu,
      proxy: { address: LOOPBACK, port: proxyPort },
      routers: up.map(({ link }, index) => ({ link, address: exits[index]?.leaves?.address })),
    };
    const cpu = this.#parts.settings.placement === "auto" ? currentCpu() : undefined;
    const options = threadSettings(this.#parts.settings, cpu);
    const links = network.routers.map(({ link }) => link);
    greetAll(socket, links);
    const ready = await routers.configure((number) => ({
      logFile: this.#logFile(`router${number}`),
      traffic: trafficSettings(network, number, exits[number - 1]!.settings, options),
    }), this.#parts.over);
    await requireLinks(
      await silentNeighbours(socket, links, LATE),
      ready.map(({ silent = [] }) => silent),
    );
    up.forEach(({ pid, link: { port } }, index) =>
      this.#introduce(index + 1, pid, port, network.routers[index]!.address)
    );
    const known = network.routers.map((router, index) => {
      const { key } = ready[index]!;
      if (key !== undefined) return { ...router, key };
      if (!hasLayers(stage.circuits)) return router;
      const remedy = "start again, with --log-level debug to see more";
      throw new OperatorError(`router ${index + 1} sent no key`, remedy);
    });
    const config = proxyConfig({ ...network, routers: known }, stage.captures ? hopOf(address) : undefined);
    const role = { kind: "proxy", config, tun: tun.fd.number } as const;
    const self = { number: 0, link: network.proxy };
    await unlessAborted(
      thread.start(
        role,
        socket.fd.number,
        links,
        {
          ...threadOptions(options, self, numbered(network)),
          // JSON says more about each packet than its log line does.
          ...(json && options.logsPackets && { logs: "packets" }),
        },
      ),
      this.#parts.over,
    );
    if (stage.restarts && !this.#parts.settings.noRestart) {
      const settingsOf = (network: Network, number: number) => ({
        logFile: this.#logFile(`router${number}`),
        traffic: trafficSettings(network, number, exits[number - 1]!.settings, {
          ...options,
          continues: true,
        }),
      });
      this.#restartRouters(routers, thread, network, settingsOf);
    }
    this.#isReady = true;
    this.#sayUndone(await this.#journal.takeOver(this.#closed, there));
    return { proxyPort, pids: up.map(({ pid }) => pid) };
  }

  /** Restarts routers that die from now on. */
  #restartRouters(
    routers: Routers,
    thread: PacketThread,
    network: Network,
    settingsOf: (network: Network, number: number) => RouterSettings,
  ): void {
    const { stack, output, fail } = this.#parts;
    const tell = (event: string, facts: Record<string, unknown>) => {
      output.event(() => ({ time: new Date().toISOString(), event, ...facts }));
      output.flush();
    };
    stack.use(
      new Restarts(routers, {
        lost({ number }, reason) {
          thread.replaceNeighbour(number - 1, undefined);
          tell("router-died", { router: number, reason });
        },
        settingsOf(number, { link }) {
          const router = { ...network.routers[number - 1]!, link };
          network = { ...network, routers: network.routers.with(number - 1, router) };
          return settingsOf(network, number);
        },
        back: (number, { pid, link }, key, after) => {
          this.#introduce(number, pid, link.port, network.routers[number - 1]!.address);
          thread.replaceNeighbour(number - 1, { link, ...(key && { key }) });
          tell("router-restarted", { router: number, pid, after: Math.round(after) / 1000 });
        },
      }, fail),
    );
  }

  /** Creates the TUN interface and makes the changes that the stage needs on the host. */
  async #prepareHost() {
    const { tun: name, stage } = this.#parts.settings;
    // An abort takes effect between two changes, or within one whose commands Ctrl+C has ended too.
    await this.#clearLeftovers();
    const { settings } = this.#parts;
    const longest = longestOf(networkOf(settings, undefined));
    const tool = firewallTool();
    const plan = (state: HostState) => planHost(settings, state, Deno.pid, tool, longest);
    const state = await readHostState(stage.captures, this.#closed);
    const { changes, there, exits, mtu, from, needs, ways: asking } = plan(state);
    const tun = this.#devices.use(await openHostTun(name));
    for (const { what, error } of await makeChanges(changes, this.#journal, tun.existed, this.#parts.over)) {
      this.#log.warn("cannot be changed, and is done without: {what}: {error}", { what, error });
    }
    const ways = new Ways(asking);
    this.#parts.stack.use(
      new HostWatch({
        needs,
        ways,
        tool: stage.captures ? tool : undefined,
        // What this run made itself is no other run's.
        replan: settings.from === undefined ? (state) => plan({ ...state, held: new Map() }) : undefined,
        journal: this.#journal,
        say: ({ level, text }) => this.#log[level]("{text}", { text }),
      }),
    );
    ways.require(state);
    return { tun, exits, mtu, from, there };
  }

  #startThread(stack: AsyncDisposableStack): PacketThread {
    const thread = new PacketThread(moduleUrl("src/runtime/packet_thread.ts"));
    thread.failed.then((reason) =>
      this.#parts.fail(new OperatorError(`packets stopped: ${reason}`, "see `ip link`"))
    );
    const logging = logEvents(thread, this.#file, this.#parts.settings.json ? this.#parts.output : undefined);
    stack.defer(() => logging);
    return stack.use(thread);
  }

  #introduce(number: number, pid: number, port: number, address?: IpAddress): void {
    const isNamedByAddress = isBuilt(this.#parts.settings.stage.circuits);
    this.#file.line(routerLine(number, pid, port, isNamedByAddress ? address : undefined));
    this.#file.flush();
  }

  #logFile(party: string): string {
    const { stage, logDir } = this.#parts.settings;
    return `${logDir}/stage${stage.number}.${party}.out`;
  }

  /** Undoes what dead runs left. What keeps their captures closed stays until this run is ready. */
  async #clearLeftovers(): Promise<void> {
    const { undone, closed } = await clearLeftovers();
    this.#sayUndone(undone);
    if (this.#parts.settings.stage.captures) {
      this.#closed = closed;
    } else {
      if (closed.runs.length > 0) this.#log.warn(Closed.since);
      closed[Symbol.dispose]();
    }
  }

  /** Undoes this run's changes. After a failure, the capture stays closed. */
  async #leaveHost(): Promise<void> {
    const { over, fail } = this.#parts;
    // A start that ends early leaves the host as it was, open or closed.
    using closed = this.#closed;
    const isAsked = /^SIG/.test(String(over.reason));
    const { undone, isClosed } = this.#isReady && !isAsked
      ? await this.#journal.close()
      : { undone: await this.#journal.undo(), isClosed: closed.runs.length > 0 };
    this.#sayUndone(undone);
    if (isClosed) this.#log.error(Closed.now);
    const failed = undone.filter(({ outcome }) => outcome === "failed");
    if (failed.length > 0) {
      const what = failed.map(({ change, reason }) => `${change} (${reason})`).join(", ");
      fail(new OperatorError(`cannot undo: ${what}`, "fix the cause, then run `onion down`"));
    }
  }

  #sayUndone(undone: readonly Undone[]): void {
    for (const { change, outcome, reason } of undone) {
      if (outcome === "failed") this.#log.warn("cannot undo: {change}: {reason}", { change, reason });
      else this.#log.debug("{outcome}: {change}", { outcome, change });
    }
  }
}

/**
 * Makes sure that every data link carries datagrams in both directions.
 *
 * @param proxy the routers that the proxy cannot hear, by index
 * @param routers the members that each router cannot hear, by number
 * @throws {OperatorError} with the likely cause
 */
async function requireLinks(
  proxy: readonly number[],
  routers: readonly (readonly number[])[],
): Promise<void> {
  const name = (number: number) => number === 0 ? "the proxy" : `router ${number}`;
  const [first] = [
    ...proxy.map((index) => [index + 1, 0] as const),
    ...routers.flatMap((silent, index) => silent.map((from) => [from, index + 1] as const)),
  ];
  if (first === undefined) return;
  const [from, to] = first;
  const { why, remedy } = explainLoopback(await sourceOnLoopback());
  throw new OperatorError(`${name(to)} cannot hear ${name(from)}: ${why}`, remedy, ExitCode.hostLacks);
}

/**
 * Creates the directory for captures if it is missing, and checks now that files can be created in
 * it.
 */
function prepareDirectory(path: string): void {
  try {
    createOwnedDirectory(path);
    Deno.removeSync(Deno.makeTempFileSync({ dir: path, prefix: "onion." }));
  } catch (cause) {
    const reason = (cause as Error).message;
    const remedy = "choose another directory with --pcap";
    throw new OperatorError(`cannot write captures to ${path}: ${reason}`, remedy, undefined, { cause });
  }
}
