/**
 * Peers: comparable programs of others, as Debian packages them.
 *
 * @module
 */
import { run } from "./command.ts";
import { isInstalled } from "./host.ts";

/** A peer. */
interface Peer {
  /** Its usual name. */
  readonly name: string;
  /** The programs that it needs. */
  readonly programs: readonly string[];
  /** The Debian packages of these programs. */
  readonly packages: readonly string[];
  /** The command that prints its version. */
  readonly asksVersion: readonly [string, ...string[]];
  /** The contenders that measure it. */
  readonly contenders: readonly string[];
}

/** Every peer. */
const PEERS: readonly Peer[] = [
  {
    name: "wireguard-go",
    programs: ["wireguard-go", "wg"],
    packages: ["wireguard-go", "wireguard-tools"],
    asksVersion: ["wireguard-go", "--version"],
    contenders: ["wireguard_go"],
  },
  {
    name: "Tor",
    programs: ["tor", "tor-gencert"],
    packages: ["tor"],
    asksVersion: ["tor", "--version"],
    contenders: ["tor", "tor_tuned"],
  },
];

/** An installed peer. */
export interface FoundPeer {
  readonly name: string;
  readonly version: string;
}

/** The peers that this machine has, and those that it lacks. */
export async function findPeers(): Promise<{ found: (Peer & FoundPeer)[]; missing: Peer[] }> {
  const found: (Peer & FoundPeer)[] = [];
  const missing: Peer[] = [];
  for (const peer of PEERS) {
    const there = await Promise.all(peer.programs.map(isInstalled));
    if (there.includes(false)) missing.push(peer);
    else found.push({ ...peer, version: await versionOf(peer) });
  }
  return { found, missing };
}

async function versionOf({ asksVersion }: Peer): Promise<string> {
  return parseVersion(await run(asksVersion).catch(() => ""));
}

/** The first version number in a program's output. */
export function parseVersion(text: string): string {
  return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? "of unknown version";
}
