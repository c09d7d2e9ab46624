/**
 * Everything that a run may change on a host, as the host's tools show it, to compare before and
 * after.
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
  /** The names of the journals about this namespace. */
  readonly journals: readonly string[];
}

/** Takes a snapshot. */
export async function snapshot(namespace: Namespace): Promise<Snapshot> {
  // First and alone, because the tools below run in the namespace too.
  const processes = await namespace.processes();
  const [links, addresses, rules, routes, firewall] = await Promise.all([
    namespace.ip("-details", "link", "show"),
    namespace.ip("address", "show"),
    namespace.ip("rule", "show"),
    namespace.ip("-4", "route", "show", "table", "all"),
    // Without nft, nothing could have changed a rule.
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

/**
 * Removes what is not a setting: the queue of a link that has been up, and whether a process is
 * attached to a TUN.
 */
function settled(text: string): string {
  return text.replaceAll(/ qdisc \S+| state \S+|NO-CARRIER,|,LOWER_UP| linkdown/g, "");
}

/** Ignores journals of other namespaces, because other tests may run there right now. */
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
