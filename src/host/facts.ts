/**
 * The facts that a diagnosis is made from. Looking at them needs no privilege and changes nothing.
 *
 * @module
 */
import { chooseProvider } from "../crypto/provider/choose.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { OperatorError } from "../errors.ts";
import { TUN_DEVICE } from "../sys/tun.ts";
import { leftovers } from "./apply/journal.ts";
import { firewallTool } from "./apply/programs.ts";
import { readSysctl } from "./apply/sysctl.ts";
import { type Capability, hasCapability } from "../sys/capability.ts";
import type { FirewallTool } from "./plan/firewall.ts";
import type { HostState } from "./plan/state.ts";
import { parseUdpPorts } from "./ports.ts";
import { hasLoopback } from "./preflight.ts";
import { readHostState } from "./state.ts";

/** What was found out about a host. */
export interface Facts {
  readonly isRoot: boolean;
  readonly has: (capability: Capability) => boolean;
  readonly tunDriver: TunDriver;
  readonly hasLoopback: boolean;
  /** UDP ports that sockets have. */
  readonly udpPorts: ReadonlySet<number>;
  /** What a sysctl is set to. */
  readonly sysctl: (name: string) => string | undefined;
  readonly firewallTool: FirewallTool | undefined;
  /** What layers would be sealed with; or why nothing can. */
  readonly sealing: Sealing | OperatorError;
  /** The network; or why it could not be looked at. */
  readonly network: HostState | OperatorError;
  /** Changes that dead runs have left behind; nothing at all if that is not for us to see. */
  readonly leftovers: readonly string[] | undefined;
}

/** The library that seals. */
export type Sealing = Pick<CryptoProvider, "name" | "version">;

/** How the TUN driver is. */
export interface TunDriver {
  /** Whether the kernel has loaded it, or has it built in. */
  readonly isLoaded: boolean;
  readonly hasDevice: boolean;
  /** Why the device cannot be opened, where it has been tried. */
  readonly refuses?: string;
}

/** Looks at everything. */
export async function gatherFacts(): Promise<Facts> {
  return {
    isRoot: Deno.uid() === 0,
    has: hasCapability,
    tunDriver: lookAtTunDriver(),
    hasLoopback: hasLoopback(),
    // A socket that is open to both families has its port in both.
    udpPorts: new Set(["/proc/net/udp", "/proc/net/udp6"].map(textOf).flatMap(parseUdpPorts)),
    sysctl: readSysctl,
    firewallTool: firewallTool(),
    sealing: await lookAtSealing(),
    network: await readHostState().catch(explain),
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
  // To open the device of a driver that is not loaded would load it.
  if (!isLoaded || !hasDevice) return { isLoaded, hasDevice };
  try {
    Deno.openSync(TUN_DEVICE, { read: true, write: true }).close();
    return { isLoaded, hasDevice };
  } catch (error) {
    // Deno repeats which file it was.
    const [refuses = ""] = (error as Error).message.split(": ");
    return { isLoaded, hasDevice, refuses };
  }
}

/** An `ip` that is there and is not iproute2's: other ones speak no JSON. */
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
