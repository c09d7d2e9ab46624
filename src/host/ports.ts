/**
 * Ephemeral UDP ports. Proxy and routers bind ports that the kernel chooses, and no option changes
 * that.
 *
 * @module
 */

/** The ports that the kernel chooses from. */
interface PortChoice {
  /** The range, e.g. `32768 to 60999`. */
  readonly range: string;
  /** The number of ports in it that are not reserved. */
  readonly all: number;
  /** The number of those that are free. */
  readonly free: number;
}

/** The sysctl of the range (Documentation/networking/ip-sysctl.rst), and its default. */
export const PORT_RANGE = { name: "net.ipv4.ip_local_port_range", default: "32768 60999" } as const;

/** The sysctl of the reserved ports, which the kernel does not choose. */
const RESERVED = "net.ipv4.ip_local_reserved_ports";

/**
 * The ports that the kernel chooses from; undefined if the range cannot be read.
 *
 * @param taken the ports of existing sockets
 */
export function choiceOfPorts(
  sysctl: (name: string) => string | undefined,
  taken: ReadonlySet<number>,
): PortChoice | undefined {
  const [, min, max] = /^(\d+)\s+(\d+)$/.exec(sysctl(PORT_RANGE.name) ?? "") ?? [];
  if (min === undefined || max === undefined) return undefined;
  const reserved = parseList(sysctl(RESERVED) ?? "");
  let [all, free] = [0, 0];
  for (let port = Number(min); port <= Number(max); port++) {
    if (reserved.some(([first, last]) => port >= first && port <= last)) continue;
    all++;
    if (!taken.has(port)) free++;
  }
  return { range: `${min} to ${max}`, all, free };
}

/** Parses numbers and ranges, as in `8080,9000-9010`. */
function parseList(text: string): [first: number, last: number][] {
  return text.split(",").filter((part) => part !== "").map((part) => {
    const [first = NaN, last = first] = part.split("-").map(Number);
    return [first, last];
  });
}

/**
 * The local ports in `/proc/net/udp`. Its second column is `ADDRESS:PORT` in hexadecimal (proc(5)).
 */
export function parseUdpPorts(table: string): number[] {
  return [...table.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) /gm)].map(([, port]) => parseInt(port!, 16));
}
