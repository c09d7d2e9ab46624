/**
 * What the bench needs of the host.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../src/errors.ts";

/** Programs, and the Debian package of each. */
const PROGRAMS = {
  cc: "gcc libc6-dev",
  ping: "iputils-ping",
  ip: "iproute2",
  nft: "nftables",
  git: "git",
  unshare: "util-linux",
} as const;

/**
 * Checks that the bench can run on this host.
 *
 * @throws OperatorError that names everything missing
 */
export async function checkHost(): Promise<void> {
  if (Deno.uid() !== 0) {
    throw new OperatorError(
      "The bench makes network namespaces and TUN devices, which needs root",
      "run it as root",
      ExitCode.notPermitted,
    );
  }
  const missing: string[] = [];
  const packages: string[] = [];
  for (const [program, debian] of Object.entries(PROGRAMS)) {
    if (await isInstalled(program)) continue;
    missing.push(program);
    packages.push(debian);
  }
  if (missing.length > 0) {
    throw new OperatorError(
      `The bench needs ${missing.join(", ")}`,
      `run \`apt-get install ${packages.join(" ")}\``,
      ExitCode.hostLacks,
    );
  }
  if (!await exists("/dev/net/tun")) {
    throw new OperatorError("The bench needs /dev/net/tun", "run `modprobe tun`", ExitCode.hostLacks);
  }
}

/** Whether a program is in the path. */
export async function isInstalled(program: string): Promise<boolean> {
  const directories = (Deno.env.get("PATH") ?? "").split(":").filter((directory) => directory !== "");
  for (const directory of directories) {
    if (await exists(`${directory}/${program}`)) return true;
  }
  return false;
}

function exists(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}
