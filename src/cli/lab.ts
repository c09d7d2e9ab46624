/**
 * `onion lab`: the practice network, for whoever types it.
 *
 * @module
 */
import { ExitCode } from "../errors.ts";
import { bringUp, requireUp, takeDown } from "../lab/build.ts";
import { inside } from "../lab/exec.ts";
import { selfCommand } from "../run/self.ts";
import type { LabCommand } from "./lab_arguments.ts";

/** Does what was asked for. */
export async function lab(command: LabCommand, signal: AbortSignal): Promise<ExitCode> {
  switch (command.verb) {
    case "up": {
      const made = await bringUp(command.faults, signal);
      console.log(
        made ? "the lab is up; try: onion lab exec -- ping www.csail.mit.edu" : "the lab is up already",
      );
      return ExitCode.ok;
    }
    case "exec": {
      requireUp();
      // Not at the top: it needs FFI, which nothing else here does.
      const { become } = await import("../sys/exec.ts");
      return become(inside(command.party, command.command));
    }
    case "demo": {
      const { demo } = await import("../lab/demo.ts");
      return await demo(command, selfCommand, signal);
    }
    case "down":
      console.log(await takeDown() ? "the lab is down" : "there was no lab");
      return ExitCode.ok;
  }
}
