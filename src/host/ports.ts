/**
 * UDP ports of the kernel's choice: proxy and routers bind such ones on loopback, and nobody can
 * choose others for them.
 *
 * @module
 */

/** What the kernel chooses from. */
export interface PortChoice {
  /** As the sysctl has it, e.g. `32768 to 60999`. */
  readonly range: string;
  /** How many ports that is, but for those that are reserved. */
  readonly all: number;
  /** How many of them nobody has. */
  readonly free: number;
}

/**
 * The sysctl that says from where to where (Documentation/networking/ip-sysctl.rst), and its usual
 * value.
 */
export const PORT_RANGE = { name: "net.ipv4.ip_local_port_range", usual: "32768 60999" } as const;

/** The sysctl that says which ones of those are not for the choosing. */
const RESERVED = "net.ipv4.ip_local_reserved_ports";

/**
 * What the kernel has left to choose from; undefined where that cannot be seen.
 *
 * @param taken ports that sockets have
 */
export function choiceOfPorts(
  sysctl: (name: string) => string | undefined,
  taken: ReadonlySet<number>,
): PortChoice | undefined {
  const [, least, most] = /^(\d+)\s+(\d+)$/.exec(sysctl(PORT_RANGE.name) ?? "") ?? [];
  if (least === undefined || most === undefined) return undefined;
  const reserved = parseList(sysctl(RESERVED) ?? "");
  let [all, free] = [0, 0];
  for (let port = Number(least); port <= Number(most); port++) {
    if (reserved.some(([first, last]) => port >= first && port <= last)) continue;
    all++;
    if (!taken.has(port)) free++;
  }
  return { range: `${least} to ${most}`, all, free };
}

/** Numbers and ranges, as in `8080,9000-9010`. */
function parseList(text: string): [first: number, last: number][] {
  return text.split(",").filter((part) => part !== "").map((part) => {
    const [first = NaN, last = first] = part.split("-").map(Number);
    return [first, last];
  });
}

/**
 * The local ports in `/proc/net/udp`, whose second column is `ADDRESS:PORT` in hexadecimal
 * (proc(5)).
 */
export function parseUdpPorts(table: string): number[] {
  return [...table.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) /gm)].map(([, port]) => parseInt(port!, 16));
}
