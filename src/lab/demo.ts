/**
 * `onion lab demo`: a stage in the practice network, a ping through it, and what passed where. The lab is left as it
 * was found: made for the demo if it was not up, and then taken down after it.
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

/** How a demo is told. */
export type DemoForm = "text" | "json" | "mermaid";

/** What a demo is to show, and the settings of the run that it shows. */
export interface DemoOptions extends StageSettings {
  readonly form: DemoForm;
  /** Where the captures of the run are kept; they are not where it is left out. */
  readonly pcap: string | undefined;
}

/**
 * Runs the demo.
 *
 * @param self starts the stage
 * @returns failed where not one ping was answered
 * @throws {OperatorError} where the lab or the stage does not come up, or captures cannot be kept
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
  // Whatever becomes of the demo: what has been seen so far may tell why.
  if (pcap !== undefined) stack.defer(() => keepCaptures(directory, pcap, topology(NO_FAULTS)));
  const story = await play(self, options, pinging, directory, signal);
  if (story === undefined) return ExitCode.ok;
  tell(story, form);
  return story.ping?.received === 0 ? ExitCode.failed : ExitCode.ok;
}

/** What ping is told in a stage; nothing in one that carries no packets. */
function pingArguments({ traffic, captures }: Stage): string[] | undefined {
  if (!traffic) return undefined;
  return ["-c", "4", ...captures ? ["-I", "10.0.2.15", "www.csail.mit.edu"] : ["10.5.51.7"]];
}

/**
 * Nothing is told of a demo that was cut short.
 *
 * @param directory where the files of the run go
 */
async function play(
  self: Self,
  settings: StageSettings,
  pinging: string[] | undefined,
  directory: string,
  signal: AbortSignal,
): Promise<Story | undefined> {
  try {
    await using run = StageRun.start(self, settings, directory, signal);
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
  // Sooner than a user's, and never longer than a user waits: one second behind the last packet, ten in all.
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
      `ping did not work: ${words}`,
      `try it: onion lab exec -- ping ${args.join(" ")}`,
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

function tell(story: Story, form: DemoForm): void {
  switch (form) {
    case "text":
      return console.log(storyText(story));
    case "mermaid":
      return console.log(storyMermaid(story));
    case "json":
      return storyObjects(story).forEach((object) => console.log(JSON.stringify(object)));
  }
}
