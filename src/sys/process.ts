/**
 * What /proc and the cgroups tell about other processes.
 *
 * @module
 */

/**
 * Whether a process is stopped by a signal or a debugger, or frozen with its cgroup. Such a process
 * is alive, and goes on as soon as it may.
 */
export function isHalted(pid: number): boolean {
  // The state follows the program's name in brackets (proc(5)). The name may contain brackets.
  const stat = read(`/proc/${pid}/stat`);
  const state = stat[stat.lastIndexOf(")") + 2];
  return state === "T" || state === "t" || isFrozen(pid);
}

/** Whether the freezer of the process's cgroup, version 1 or 2, is at work (cgroups(7)). */
function isFrozen(pid: number): boolean {
  return read(`/proc/${pid}/cgroup`).split("\n").some((line) => {
    const [, controllers, ...path] = line.split(":");
    const group = path.join(":");
    if (controllers === "") {
      return ["", "/unified"].some((mount) =>
        /^frozen 1$/m.test(read(`/sys/fs/cgroup${mount}${group}/cgroup.events`))
      );
    }
    return controllers === "freezer" &&
      /^FR(EEZING|OZEN)$/m.test(read(`/sys/fs/cgroup/freezer${group}/freezer.state`));
  });
}

/** The contents of a file; empty if it cannot be read. */
function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
