/**
 * The program `ip` of iproute2: every question to and every change of the host's network goes through here.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";

/** An address of an interface, as `ip -json address` prints it. */
export interface InterfaceAddress {
  readonly family: string;
  readonly local: string;
  readonly prefixlen: number;
}

/** An interface, as `ip -json address` prints it. */
export interface Interface {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly addr_info: readonly InterfaceAddress[];
}

/**
 * Runs `ip` with these arguments.
 *
 * @returns what it printed
 * @throws {OperatorError} where it is missing or fails, with its own words
 */
export async function ip(...args: string[]): Promise<string> {
  const output = await new Deno.Command("ip", {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C" },
  }).output().catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw ipMissing(cause);
  });
  if (output.success) return new TextDecoder().decode(output.stdout);
  const words = new TextDecoder().decode(output.stderr).trim().split("\n")[0] ?? "";
  throw new OperatorError(
    `\`ip ${args.join(" ")}\` failed: ${words === "" ? `exit code ${output.code}` : words}`,
    "run it by hand to see why",
  );
}

/** Every interface with its addresses. */
export async function interfaces(): Promise<Interface[]> {
  return JSON.parse(await ip("-json", "address", "show")) as Interface[];
}

function ipMissing(cause: unknown): OperatorError {
  return new OperatorError(
    "the program ip is missing",
    "install iproute2, e.g. `apt-get install iproute2`",
    ExitCode.hostLacks,
    { cause },
  );
}
