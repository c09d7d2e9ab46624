/**
 * How this process ends: a signal asks the command to end, a crash makes it fail.
 *
 * @module
 */
import { ExitCode, OperatorError } from "../errors.ts";
import { report, wantsStack } from "./report.ts";

/** What a shell reports for a process that Ctrl+C ended: 128 + SIGINT. */
const INTERRUPTED = 130;

/**
 * Milliseconds in which a second SIGINT is the same key press: `timeout` and some shells signal us
 * and our group.
 */
const SAME_KEY = 500;

/** Milliseconds that a run has to clean up after an internal error. */
const LAST_GRACE = 5000;

/** Watches for signals and crashes, and turns a command's outcome into an exit code. */
export class Ending {
  readonly #root = new AbortController();
  readonly #isRouter: boolean;
  #hasCrashed = false;

  /** @param isRouter whether this is a router, which listens to its proxy, not to the terminal */
  constructor({ isRouter }: { readonly isRouter: boolean }) {
    this.#isRouter = isRouter;
    if (!isRouter) this.#watchSignals();
    this.#watchCrashes();
  }

  /** Aborts when the command is to end; the reason is the signal's name, e.g. `SIGINT`. */
  get signal(): AbortSignal {
    return this.#root.signal;
  }

  /** Waits for a command and reports its failure on stderr: what the process exits with. */
  async exitCodeOf(command: Promise<ExitCode>): Promise<ExitCode> {
    const exitCode = await command.catch((error) => this.#tell(error));
    return this.#hasCrashed ? ExitCode.failed : exitCode;
  }

  #watchSignals(): void {
    // Read first, because Deno takes over every fatal signal with the first listener.
    const outlivesTerminal = ignoresHangUp();
    let endedAt = -Infinity;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      Deno.addSignalListener(signal, () => {
        if (signal === "SIGHUP" && outlivesTerminal) return;
        if (!this.signal.aborted) endedAt = performance.now();
        else if (signal === "SIGINT" && performance.now() - endedAt > SAME_KEY) Deno.exit(INTERRUPTED);
        this.#root.abort(signal);
      });
    }
  }

  #watchCrashes(): void {
    for (const kind of ["error", "unhandledrejection"] as const) {
      globalThis.addEventListener(kind, (event) => {
        event.preventDefault();
        const error = event instanceof ErrorEvent ? event.error : event.reason;
        if (this.#isAbort(error)) return;
        this.#tell(error);
        if (this.#hasCrashed || this.#isRouter) Deno.exit(ExitCode.failed);
        this.#hasCrashed = true;
        // Let the run take its network down. If that hangs too, the next start does it.
        this.#root.abort("an internal error");
        Deno.unrefTimer(setTimeout(() => Deno.exit(ExitCode.failed), LAST_GRACE));
      });
    }
  }

  #tell(error: unknown): ExitCode {
    if (this.#isAbort(error)) return ExitCode.ok;
    const { line, exitCode } = report(error);
    console.error(line);
    // An operator error is in our own words, but its cause may not be.
    const origin = error instanceof OperatorError ? error.cause : error;
    if (origin !== undefined && wantsStack(Deno.args)) console.error(origin);
    return exitCode;
  }

  /** Whether an "error" only says that the command was to end. */
  #isAbort(error: unknown): boolean {
    return this.signal.aborted && error === this.signal.reason;
  }
}

/** Keeps SIGUSR1 from opening the inspector's port, because the process may run as root. */
export async function closeInspector(): Promise<void> {
  const { ignoreInspectorSignal } = await import("../sys/signal.ts");
  ignoreInspectorSignal();
}

/** Whether this process was started with SIGHUP ignored, as by nohup(1). */
function ignoresHangUp(): boolean {
  try {
    const [, mask = "0"] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
    return (BigInt(`0x${mask}`) & 1n) === 1n; // SIGHUP is 1, the lowest bit
  } catch {
    return false;
  }
}
