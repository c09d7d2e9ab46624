/**
 * Peers: other people's programs that do something alike, as Debian packages them.
 *
 * @module
 */
import { run } from "./command.ts";
import { isInstalled } from "./host.ts";

/** A peer. */
interface Peer {
  /** As people call it. */
  readonly name: string;
  /** The programs that it needs. */
  readonly programs: readonly string[];
  /** The Debian packages that they come in. */
  readonly packages: readonly string[];
  /** What prints its version. */
  readonly asksVersion: readonly [string, ...string[]];
  /** The contenders that it is measured as. */
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

/** A peer that is installed. */
export interface FoundPeer {
  readonly name: string;
  readonly version: string;
}

/** Which peers this machine has, and which not. */
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

/** The first version number in what a program prints. */
export function parseVersion(text: string): string {
  return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? "of unknown version";
}
