/**
 * One capture file that is being written.
 *
 * @module
 */
import { LinkType } from "../../pcap/format.ts";
import { PcapngWriter } from "../../pcap/pcapng.ts";
import { createOwnedFile } from "../../sys/file.ts";
import { type Party, partyNames } from "./party.ts";

/** Takes packets down. */
export interface Recorder {
  /** @param packet an IP packet, copied before the call returns */
  record(packet: Uint8Array, comment: string): void;
}

/**
 * A capture file. It is written by whoever records, at once: who asks for captures wants to see packets, not to be fast.
 */
export class RecorderFile implements Recorder, Disposable {
  readonly #file: Deno.FsFile;
  readonly #writer: PcapngWriter;
  readonly #now: () => number;
  readonly #failed: (reason: string) => void;
  #hasFailed = false;

  /**
   * @param path the file, which is made anew
   * @param application the program and its version
   * @param description what is seen there, for people
   * @param parties who can be in it
   * @param now the time in ms since the Unix epoch
   * @param failed told once, in a sentence, when the file can take no more
   */
  constructor(
    path: string,
    application: string,
    description: string,
    parties: readonly Party[],
    now: () => number,
    failed: (reason: string) => void,
  ) {
    this.#now = now;
    this.#failed = (reason) => failed(`the capture file ${path} is incomplete: ${reason}`);
    // What is in it was sealed from others.
    this.#file = createOwnedFile(path, 0o600);
    const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.pcapng$/, "");
    this.#writer = new PcapngWriter({
      application,
      interfaces: [{ linkType: LinkType.ipv4, name, description }],
      names: partyNames(parties),
    });
    this.#write(this.#writer.header());
  }

  /** {@inheritDoc Recorder.record} */
  record(packet: Uint8Array, comment: string): void {
    this.#write(this.#writer.packet(this.#now(), packet, comment));
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  #write(bytes: Uint8Array): void {
    if (this.#hasFailed) return;
    try {
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    } catch (error) {
      // A full disk must not stop the packets.
      this.#hasFailed = true;
      this.#failed((error as Error).message);
    }
  }
}
