/**
 * `onion lab`: the practice network.
 *
 * @module
 */
import { ExitCode } from "../errors.ts";
import { bringUp, requireUp, takeDown } from "../lab/build.ts";
import { inside } from "../lab/exec.ts";
import { selfCommand } from "../run/self.ts";
import type { LabCommand } from "./lab_arguments.ts";

/** Carries out a lab command. */
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
      // Imported late, because nothing else here needs FFI.
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
