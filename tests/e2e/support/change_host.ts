/**
 * Makes a run's changes to the host, and nothing else: `deno run change_host.ts ORDER`, with an
 * {@linkcode Order} in JSON. Prints a {@linkcode Report} as one line of JSON, and undoes everything
 * when its standard input ends.
 *
 * @module
 */
import { makeChanges } from "../../../src/host/apply/make_changes.ts";
import type { FirewallTool } from "../../../src/host/plan/firewall.ts";
import { Journal, undoLeftovers } from "../../../src/host/apply/journal.ts";
import { planHost } from "../../../src/host/host_plan.ts";
import { readHostState } from "../../../src/host/state.ts";
import { openHostTun } from "../../../src/host/open_tun.ts";
import { commands, settingsOf } from "../../support/host_state.ts";

/** The changes to make. */
export interface Order {
  readonly options?: Parameters<typeof settingsOf>[0];
  readonly tool?: FirewallTool;
  /** Kills this process after this number of changes. */
  readonly dieAfter?: number;
  /** Kills it once the journal has the next change, before that is made. */
  readonly dieWriting?: boolean;
}

/** The changes made. */
export interface Report {
  /** The commands carried out. */
  readonly made: readonly string[];
  /** The commands of a new plan for the changed host. */
  readonly again: readonly string[];
}

if (import.meta.main) await changeHost(JSON.parse(Deno.args[0]!));

async function changeHost({ options, tool = "nft", dieAfter, dieWriting }: Order): Promise<void> {
  const settings = settingsOf(options);
  await undoLeftovers();
  const { changes } = planHost(settings, await readHostState(), Deno.pid, tool);
  const journal = new Journal();
  try {
    using tun = await openHostTun(settings.tun);
    await makeChanges(changes.slice(0, dieAfter), journal, tun.existed);
    const next = changes[dieAfter ?? changes.length];
    if (dieWriting && next !== undefined) await journal.change([{ change: next.what, undo: next.undo }], die);
    if (dieAfter !== undefined) await die();
    const state = { ...await readHostState(), held: new Map() };
    const again = planHost(settings, state, Deno.pid, tool);
    const report: Report = { made: commands(changes), again: commands(again.changes) };
    console.log(JSON.stringify(report));
    await new Response(Deno.stdin.readable).text();
  } finally {
    for (const { change, outcome, reason } of await journal.undo()) {
      if (outcome === "failed") console.error(`${change}: ${reason}`);
    }
  }
}

function die(): Promise<never> {
  Deno.kill(Deno.pid, "SIGKILL");
  return new Promise(() => {});
}
