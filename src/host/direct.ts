/**
 * Commands that need no program, because the kernel can be told directly: a process takes longer than all of them. They are
 * written like any other, for whoever reads a plan or why one has failed.
 *
 * @module
 */
import { parseCidr } from "../config/cidr.ts";
import { addAddress, setMtu, takeUp } from "../sys/interface.ts";
import type { Command } from "./execute.ts";

/** What carries a command out, if that needs no program. It throws where it fails. */
export function directly([program, ...args]: Command): (() => void) | undefined {
  // `sysctl -w NAME=VALUE`, whose program may be missing.
  if (program === "sysctl") return () => writeSysctl(args[1]!);
  const [object, verb, ...rest] = args;
  switch (`${program} ${object} ${verb}`) {
    case "ip address add": {
      const [block, , name] = rest;
      const cidr = parseCidr(block!);
      return cidr && (() => addAddress(name!, cidr.address, cidr.prefix));
    }
    case "ip link set": {
      const [name, what, value] = rest;
      if (what === "up") return () => takeUp(name!);
      return what === "mtu" ? () => setMtu(name!, Number(value)) : undefined;
    }
  }
  return undefined;
}

/** What a sysctl is set to, e.g. of `net.ipv4.conf.eth0.rp_filter`; undefined where there is none of this name. */
export function readSysctl(name: string): string | undefined {
  try {
    return Deno.readTextFileSync(sysctlPath(name)).trim();
  } catch {
    return undefined;
  }
}

function writeSysctl(setting: string): void {
  const [name, value] = setting.split("=") as [string, string];
  Deno.writeTextFileSync(sysctlPath(name), value);
}

/** sysctl(8): dots separate the parts of a name; where a part has dots itself, slashes do. */
function sysctlPath(name: string): string {
  return `/proc/sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`;
}
