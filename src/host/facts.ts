/**
 * The facts for a diagnosis. Gathering them needs no privilege and changes nothing.
 *
 * @module
 */
import type { CryptoProvider } from "../crypto/provider.ts";
import { chooseProvider } from "../crypto/provider/choose.ts";
import { OperatorError } from "../errors.ts";
import type { IpAddress } from "../ip/address.ts";
import { type Capability, hasCapability } from "../sys/capability.ts";
import { type RouteAnswer, type RouteQuestion, RouteSocket } from "../sys/route_query.ts";
import { TUN_DEVICE } from "../sys/tun.ts";
import { leftovers } from "./apply/journal.ts";
import { firewallTool } from "./apply/programs.ts";
import { readSysctl } from "./apply/sysctl.ts";
import type { FirewallTool } from "./plan/firewall.ts";
import type { HostState } from "./plan/state.ts";
import { sourceOnLoopback } from "./loopback.ts";
import { parseUdpPorts } from "./ports.ts";
import { hasLoopback } from "./preflight.ts";
import { readHostState } from "./state.ts";

/** The facts about a host. */
export interface Facts {
  readonly isRoot: boolean;
  readonly has: (capability: Capability) => boolean;
  readonly tunDriver: TunDriver;
  readonly hasLoopback: boolean;
  /**
   * The source with which a datagram from 127.0.0.1 to itself arrives, if it does; undefined if
   * that cannot be tried.
   */
  readonly loopback: { readonly source: IpAddress | undefined } | undefined;
  /** The UDP ports of existing sockets. */
  readonly udpPorts: ReadonlySet<number>;
  /** The value of a sysctl; undefined if there is none of this name. */
  readonly sysctl: (name: string) => string | undefined;
  readonly firewallTool: FirewallTool | undefined;
  /** The library that would seal layers; or why there is none. */
  readonly sealing: Sealing | OperatorError;
  /** The network; or why it cannot be read. */
  readonly network: HostState | OperatorError;
  /** Asks the kernel for the way of a packet. */
  readonly ask: (question: RouteQuestion) => RouteAnswer;
  /** The changes that dead runs left behind; undefined if we may not look. */
  readonly leftovers: readonly string[] | undefined;
}

/** The library that seals. */
export type Sealing = Pick<CryptoProvider, "name" | "version">;

/** The state of the TUN driver. */
export interface TunDriver {
  /** Whether the kernel has loaded it, or was built with it. */
  readonly isLoaded: boolean;
  readonly hasDevice: boolean;
  /** Why the device cannot be opened, if it was tried. */
  readonly refuses?: string;
}

/** Gathers all facts. */
export async function gatherFacts(): Promise<Facts> {
  return {
    isRoot: Deno.uid() === 0,
    has: hasCapability,
    tunDriver: lookAtTunDriver(),
    hasLoopback: hasLoopback(),
    // Without a port or an address there is nothing to try, and another check says so.
    loopback: await sourceOnLoopback().then((source) => ({ source }), () => undefined),
    // A dual-stack socket is listed for IPv6 only, so both lists count.
    udpPorts: new Set(["/proc/net/udp", "/proc/net/udp6"].map(textOf).flatMap(parseUdpPorts)),
    sysctl: readSysctl,
    firewallTool: firewallTool(),
    sealing: await lookAtSealing(),
    network: await readHostState().catch(explain),
    ask(question) {
      using socket = new RouteSocket();
      return socket.ask(question);
    },
    leftovers: leftovers(),
  };
}

async function lookAtSealing(): Promise<Sealing | OperatorError> {
  try {
    const { name, version } = await chooseProvider();
    return { name, version };
  } catch (error) {
    if (error instanceof OperatorError) return error;
    throw error;
  }
}

function lookAtTunDriver(): TunDriver {
  const isLoaded = /^\s*\d+ tun$/m.test(textOf("/proc/misc"));
  const hasDevice = exists(TUN_DEVICE);
  // Opening the device would load the driver.
  if (!isLoaded || !hasDevice) return { isLoaded, hasDevice };
  try {
    Deno.openSync(TUN_DEVICE, { read: true, write: true }).close();
    return { isLoaded, hasDevice };
  } catch (error) {
    // Deno adds the name of the file.
    const [refuses = ""] = (error as Error).message.split(": ");
    return { isLoaded, hasDevice, refuses };
  }
}

/** The error of an `ip` that is not iproute2's. Others print no JSON. */
function explain(cause: unknown): OperatorError {
  if (cause instanceof OperatorError) return cause;
  return new OperatorError(
    `\`ip -json\` is not understood: ${(cause as Error).message}`,
    "install iproute2",
    undefined,
    { cause },
  );
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
