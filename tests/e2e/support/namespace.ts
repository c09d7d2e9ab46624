/**
 * A network namespace with loopback only, so that nothing a test sends gets out.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Ended, run } from "./program.ts";

let made = 0;

/**
 * A network namespace with loopback up. At the end of its block, it and all processes in it are
 * gone.
 */
export class Namespace implements AsyncDisposable {
  private constructor(readonly name: string) {}

  /**
   * Creates a namespace with a unique name.
   *
   * @param ipv6 whether later interfaces have IPv6. If so, the kernel adds addresses and sends
   * packets by itself.
   */
  static async make({ ipv6 = true } = {}): Promise<Namespace> {
    const namespace = new Namespace(`onion-e2e-${Deno.pid}-${++made}`);
    await ip("netns", "add", namespace.name);
    await namespace.ip("link", "set", "lo", "up");
    if (!ipv6) await namespace.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
    return namespace;
  }

  /** A prefix that runs a command line in this namespace, as the same process. */
  get enter(): string[] {
    return ["ip", "netns", "exec", this.name];
  }

  /** Runs a program in this namespace to its end. */
  run(program: string, ...args: string[]): Promise<Ended> {
    const [command, ...words] = [...this.enter, program, ...args];
    return run(command!, words);
  }

  /** Runs `ip` on this namespace, and asserts that it succeeds. */
  ip(...args: string[]): Promise<string> {
    return ip("-netns", this.name, ...args);
  }

  /** Ids of the processes in this namespace, in ascending order. */
  async processes(): Promise<number[]> {
    return (await ip("netns", "pids", this.name)).split("\n").filter(Boolean).map(Number).sort((a, b) =>
      a - b
    );
  }

  /** The inode, by which a journal names this namespace. */
  get inode(): string {
    return String(Deno.statSync(`/run/netns/${this.name}`).ino);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of await this.processes()) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // Ended in the meantime.
      }
    }
    await ip("netns", "delete", this.name);
  }
}

async function ip(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run("ip", args);
  assert.equal(code, 0, `ip ${args.join(" ")}: ${stderr}`);
  return stdout;
}
