/**
 * `onion lab demo` runs a stage in the practice network, pings through it, and tells what passed
 * where. It leaves the lab as it found it: if the lab was down, the demo makes it and takes it down
 * again.
 *
 * @module
 */
import type { Stage } from "../config/stages.ts";
import { ExitCode, OperatorError } from "../errors.ts";
import { bringUp, isLabUp, takeDown } from "./build.ts";
import { requirePrograms } from "./command.ts";
import { countPackets, packetsBetween } from "./counters.ts";
import { inside } from "./exec.ts";
import { keepCaptures, prepareKeeping, readCaptures } from "./keep.ts";
import { storyMermaid } from "./mermaid.ts";
import { passages } from "./passages.ts";
import { type Self, StageRun, type StageSettings } from "./stage_run.ts";
import { starts } from "./starts.ts";
import { LAB_DIR } from "./state.ts";
import { type PingResult, type Story, storyObjects, storyText } from "./story.ts";
import { NO_FAULTS, topology, VM } from "./topology.ts";

/** The output formats of a demo, and what each prints. */
const FORMS = {
  text: storyText,
  mermaid: storyMermaid,
  json: (story: Story) => storyObjects(story).map((object) => JSON.stringify(object)).join("\n"),
} as const;

/** A key of {@linkcode FORMS}. */
export type DemoForm = keyof typeof FORMS;

/** The options of a demo, and the settings of the run that it shows. */
export interface DemoOptions extends StageSettings {
  readonly form: DemoForm;
  /** Directory to keep the captures in; undefined to keep none. */
  readonly pcap: string | undefined;
}

/**
 * Runs the demo.
 *
 * @param self starts the stage
 * @returns `failed` if no ping was answered
 * @throws {OperatorError} if the lab or the stage does not come up, or captures cannot be kept
 */
export async function demo(options: DemoOptions, self: Self, signal: AbortSignal): Promise<ExitCode> {
  const { stage, form, pcap } = options;
  const pinging = pingArguments(stage);
  if (pinging !== undefined) requirePrograms("ping");
  await using stack = new AsyncDisposableStack();
  const wasUp = isLabUp();
  if (pcap !== undefined) prepareKeeping(pcap);
  if (!wasUp) {
    await bringUp(NO_FAULTS, signal);
    stack.defer(async () => void await takeDown());
  }
  const directory = Deno.makeTempDirSync({ dir: LAB_DIR, prefix: "demo." });
  stack.defer(() => Deno.removeSync(directory, { recursive: true }));
  // Even if the demo fails, because the captures may show why.
  if (pcap !== undefined) stack.defer(() => keepCaptures(directory, pcap, topology(NO_FAULTS)));
  const story = await play(self, options, pinging, directory, signal);
  if (story === undefined) return ExitCode.ok;
  console.log(FORMS[form](story));
  return story.ping?.received === 0 ? ExitCode.failed : ExitCode.ok;
}

/** The arguments of ping in a stage; undefined if the stage carries no packets. */
function pingArguments({ traffic, captures }: Stage): string[] | undefined {
  if (!traffic) return undefined;
  return ["-c", "4", ...captures ? ["-I", "10.0.2.15", "www.csail.mit.edu"] : ["10.5.51.7"]];
}

/**
 * Runs the stage and the ping. Returns undefined if the signal aborts.
 *
 * @param directory for the files of the run
 */
async function play(
  self: Self,
  settings: StageSettings,
  pinging: string[] | undefined,
  directory: string,
  signal: AbortSignal,
): Promise<Story | undefined> {
  try {
    await using run = new StageRun(self, settings, directory, signal);
    await run.ready();
    const network = topology(NO_FAULTS);
    const before = await countPackets(network);
    const result = pinging === undefined ? undefined : await ping(pinging, signal);
    const links = packetsBetween(before, await countPackets(network));
    // Its files are whole when the stage has ended.
    await run.stop();
    return {
      stage: settings.stage,
      starts: starts(run.logs()),
      passages: passages(readCaptures(directory)),
      ping: result,
      links,
    };
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

async function ping(args: string[], signal: AbortSignal): Promise<PingResult> {
  // Faster than by default, and at most ten seconds in all.
  const [program, ...words] = inside(VM, ["ping", "-n", "-i", "0.2", "-W", "1", "-w", "10", ...args]);
  const { stdout, stderr } = await new Deno.Command(program, {
    args: words,
    env: { LC_ALL: "C" },
    stdin: "null",
    signal,
  }).output();
  signal.throwIfAborted();
  const text = new TextDecoder().decode(stdout);
  const [, sent, received] = /^(\d+) packets transmitted, (\d+) (?:packets )?received/m.exec(text) ?? [];
  if (sent === undefined) {
    const words = new TextDecoder().decode(stderr).trim().split("\n")[0];
    throw new OperatorError(
      `ping failed: ${words}`,
      `try it by hand: onion lab exec -- ping ${args.join(" ")}`,
    );
  }
  const [, average] = /^(?:rtt|round-trip) min\/avg\/max\S* = [\d.]+\/([\d.]+)\//m.exec(text) ?? [];
  return {
    command: `ping ${args.join(" ")}`,
    sent: Number(sent),
    received: Number(received),
    average: average === undefined ? undefined : Number(average),
  };
}
