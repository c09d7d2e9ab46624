/**
 * The few errors of onion. Each says what was being done, and the ones an operator meets carry the remedy.
 *
 * @module
 */

/** Exit codes of the program, as its manual lists them. */
export const ExitCode = {
  /** Ended as asked, Ctrl+C and SIGTERM included. */
  ok: 0,
  /** Something failed. */
  failed: 1,
  /** The command line or the config file is wrong. */
  usage: 2,
  /** A privilege is missing. */
  notPermitted: 3,
  /** The host lacks something. */
  hostLacks: 4,
} as const;

/** One of {@linkcode ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Bytes from a peer that are no packet, cell or message: the peer's fault. */
export class WireError extends Error {
  /** The class's name. */
  override readonly name = "WireError";
}

/** A failed system call, e.g. `Cannot attach to TUN device "tun1": ioctl failed: EBUSY`. */
export class SysError extends Error {
  /** The class's name. */
  override readonly name = "SysError";

  /**
   * A system call that failed.
   *
   * @param doing what was being done, e.g. `Cannot attach to TUN device "tun1"`
   * @param call the system call, e.g. `ioctl`
   * @param code the symbolic errno, e.g. `EBUSY`
   */
  constructor(readonly doing: string, readonly call: string, readonly code: string) {
    super(`${doing}: ${call} failed: ${code}`);
  }
}

/** What the operator can mend: the message names the cause, `remedy` what to do about it. */
export class OperatorError extends Error {
  override readonly name: string = "OperatorError";

  /**
   * @param message the cause, without a full stop
   * @param remedy what to do, e.g. ``run `sudo modprobe tun` ``
   * @param exitCode what the program exits with
   */
  constructor(
    message: string,
    readonly remedy: string,
    readonly exitCode: ExitCode = ExitCode.failed,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A flag or a config line that cannot be taken: names the option and the remedy. */
export class ConfigError extends OperatorError {
  override readonly name = "ConfigError";

  /**
   * @param message the option or line and what is wrong with it
   * @param remedy what would be taken
   */
  constructor(message: string, remedy: string) {
    super(message, remedy, ExitCode.usage);
  }
}
