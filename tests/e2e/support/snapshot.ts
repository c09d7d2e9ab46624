/**
 * What a run may change on a host, as the host's own tools show it, to compare before and after.
 *
 * @module
 */
import { JOURNAL_DIR } from "../../../src/host/apply/journal_file.ts";
import type { Namespace } from "./namespace.ts";

/** The state of a network namespace. */
export interface Snapshot {
  readonly links: string;
  readonly addresses: string;
  readonly rules: string;
  readonly routes: string;
  readonly firewall: string;
  readonly processes: readonly number[];
  /** Names of the journals that tell of this namespace. */
  readonly journals: readonly string[];
}

/** Looks at everything. */
export async function snapshot(namespace: Namespace): Promise<Snapshot> {
  // First and alone: the tools below run in the namespace too.
  const processes = await namespace.processes();
  const [links, addresses, rules, routes, firewall] = await Promise.all([
    namespace.ip("-details", "link", "show"),
    namespace.ip("address", "show"),
    namespace.ip("rule", "show"),
    namespace.ip("-4", "route", "show", "table", "all"),
    // Without nft there is nothing that could have changed a rule.
    namespace.run("nft", "list", "ruleset").then((nft) => nft.stdout),
  ]);
  return {
    links: settled(links),
    addresses: settled(addresses),
    rules,
    routes: settled(routes),
    firewall,
    processes,
    journals: journalsOf(namespace),
  };
}

/** Without what is no setting: the queue of a link that has ever been up, and whether somebody is attached to a TUN. */
function settled(text: string): string {
  return text.replaceAll(/ qdisc \S+| state \S+|NO-CARRIER,|,LOWER_UP| linkdown/g, "");
}

/** Journals of other namespaces belong to somebody else, who may be at work right now. */
function journalsOf(namespace: Namespace): string[] {
  return names(JOURNAL_DIR).filter((name) => {
    try {
      const [owner = ""] = Deno.readTextFileSync(`${JOURNAL_DIR}/${name}`).split("\n");
      return JSON.parse(owner).network === namespace.inode;
    } catch {
      return false;
    }
  }).sort();
}

function names(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
