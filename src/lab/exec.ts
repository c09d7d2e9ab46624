/**
 * Commands inside a party of the lab. A command sees the lab's host names: the lab's files cover
 * those of /etc in the command's own mount namespace, and the host's /etc stays untouched.
 *
 * @module
 */
import { namespaceOf } from "./plan.ts";
import { LAB_DIR } from "./state.ts";

/**
 * Runs in the mount namespace that `ip netns exec` makes for each command, and becomes the command.
 * Skips files that this machine lacks. Hides nscd, because it would look names up outside the lab.
 * With -n, mount keeps no list in /run/mount.
 */
const ENTER = `
  for file in hosts nsswitch.conf resolv.conf; do
    [ ! -e /etc/$file ] || mount -n --bind ${LAB_DIR}/$file /etc/$file || exit
  done
  [ ! -d /run/nscd ] || mount -n -t tmpfs tmpfs /run/nscd || exit
  exec "$@"
`;

/**
 * The arguments that run a command inside a party. Each program on the way becomes the next one, so
 * the process is the command itself and receives signals.
 */
export function inside(party: string, command: readonly string[]): [string, ...string[]] {
  return ["ip", "netns", "exec", namespaceOf(party), "sh", "-c", ENTER, "onion", ...command];
}

/** Writes the files that {@linkcode inside} mounts over those of /etc. */
export function writeNames(hosts: string): void {
  const files = {
    hosts,
    // Files only, because other services may ask resolvers outside the lab through sockets.
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "resolv.conf": "# There is no resolver in the lab: see /etc/hosts\n",
  };
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(`${LAB_DIR}/${name}`, text, { mode: 0o644 });
  }
}
