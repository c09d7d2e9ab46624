/**
 * Commands inside a party of the lab, with the lab's names: the files of /etc that names are looked up with are
 * replaced in a mount namespace of the command's own, so nothing in the host's /etc is ever touched.
 *
 * @module
 */
import { namespaceOf } from "./plan.ts";
import { LAB_DIR } from "./state.ts";

/**
 * Runs in the mount namespace that `ip netns exec` gives to each command, and becomes the command. A file that this
 * machine doesn't have cannot be replaced, and need not be. A daemon that looks names up for others is out of reach,
 * because it would ask the world outside. With -n, mount keeps no list of its own in /run/mount.
 */
const ENTER = `
  for file in hosts nsswitch.conf resolv.conf; do
    [ ! -e /etc/$file ] || mount -n --bind ${LAB_DIR}/$file /etc/$file || exit
  done
  [ ! -d /run/nscd ] || mount -n -t tmpfs tmpfs /run/nscd || exit
  exec "$@"
`;

/**
 * The words that run a command inside a party. Each program on the way becomes the next one, so the process that is
 * started is the command itself, and signals reach it.
 */
export function inside(party: string, command: readonly string[]): [string, ...string[]] {
  return ["ip", "netns", "exec", namespaceOf(party), "sh", "-c", ENTER, "onion", ...command];
}

/** Writes the files down that {@linkcode inside} lays over those of /etc. */
export function writeNames(hosts: string): void {
  const files = {
    hosts,
    // No other way to a name: resolvers outside the lab might be asked through sockets in the file system.
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "resolv.conf": "# There is no resolver in the lab: see /etc/hosts\n",
  };
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(`${LAB_DIR}/${name}`, text, { mode: 0o644 });
  }
}
