/**
 * Kernel parameters, as sysctl(8) names them. Its program may be missing, so they are read and
 * written by file.
 *
 * @module
 */

/**
 * The value of a sysctl, e.g. of `net.ipv4.conf.eth0.rp_filter`; undefined if there is none of this
 * name.
 */
export function readSysctl(name: string): string | undefined {
  try {
    return Deno.readTextFileSync(pathOf(name)).trim();
  } catch {
    return undefined;
  }
}

/** Sets a sysctl. Throws if there is none of this name, or the kernel refuses the value. */
export function writeSysctl(name: string, value: string): void {
  Deno.writeTextFileSync(pathOf(name), value);
}

/** Dots separate the parts of a name, or slashes if a part contains dots itself. */
function pathOf(name: string): string {
  return `/proc/sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`;
}
