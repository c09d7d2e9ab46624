/**
 * The error classes of onion. Each message says what failed; errors for the operator also carry a
 * remedy.
 *
 * @module
 */

/** The exit codes, as in the manual. */
export const ExitCode = {
  /** Ended as asked, also by Ctrl+C or SIGTERM. */
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

/** Bytes from another party that are no valid packet, cell, or message. */
export class WireError extends Error {
  /** The class's name. */
  override readonly name = "WireError";
}

/** A failed system call, e.g. `Cannot attach to TUN device "tun1": ioctl failed: EBUSY`. */
export class SysError extends Error {
  /** The class's name. */
  override readonly name = "SysError";

  /**
   * The error of a failed call.
   *
   * @param doing the beginning of the message, e.g. `Cannot attach to TUN device "tun1"`
   * @param call the system call, e.g. `ioctl`
   * @param code the symbolic errno, e.g. `EBUSY`
   */
  constructor(readonly doing: string, readonly call: string, readonly code: string) {
    super(`${doing}: ${call} failed: ${code}`);
  }
}

/** A problem that the operator can fix: the message names the cause, `remedy` the fix. */
export class OperatorError extends Error {
  override readonly name: string = "OperatorError";

  /**
   * @param message the cause, without a full stop
   * @param remedy what to do, e.g. ``run `sudo modprobe tun` ``
   * @param exitCode the exit code of the program
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

/** An invalid option or config line. */
export class ConfigError extends OperatorError {
  override readonly name = "ConfigError";

  /**
   * @param message the option or line, and the fault
   * @param remedy what would be valid
   */
  constructor(message: string, remedy: string) {
    super(message, remedy, ExitCode.usage);
  }
}
