/**
 * Writing a capture file.
 *
 * @module
 */
import { LinkType } from "../../pcap/format.ts";
import { PcapngWriter } from "../../pcap/pcapng.ts";
import { continueOwnedFile, createOwnedFile, writeAll } from "../../sys/file.ts";
import { type Party, partyNames } from "./party.ts";

/** Records packets. */
export interface Recorder {
  /**
   * Records a packet.
   *
   * @param packet an IP packet; it is copied before the call returns
   */
  record(packet: Uint8Array, comment: string): void;
}

/**
 * A capture file. Each packet is written at once, by the thread that records it, because captures
 * need not be fast.
 */
export class RecorderFile implements Recorder, Disposable {
  readonly #file: Deno.FsFile;
  readonly #writer: PcapngWriter;
  readonly #now: () => number;
  readonly #failed: (reason: string) => void;
  #hasFailed = false;

  /**
   * Creates the file, or replaces it, unless it `continues`.
   *
   * @param application the program and its version
   * @param description a sentence for the reader: which packets the file holds
   * @param parties the members whose addresses it may hold
   * @param now returns the time in ms since the Unix epoch
   * @param failed called once, with a sentence, when the file cannot be written
   */
  constructor(
    path: string,
    { application, continues }: { readonly application: string; readonly continues: boolean },
    description: string,
    parties: readonly Party[],
    now: () => number,
    failed: (reason: string) => void,
  ) {
    this.#now = now;
    this.#failed = (reason) => failed(`the capture file ${path} is incomplete: ${reason}`);
    // Only the owner may read it, because its contents were encrypted on the links.
    this.#file = (continues ? continueOwnedFile : createOwnedFile)(path, 0o600);
    const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.pcapng$/, "");
    this.#writer = new PcapngWriter({
      application,
      interfaces: [{ linkType: LinkType.ipv4, name, description }],
      names: partyNames(parties),
    });
    if (this.#file.statSync().size === 0) this.#write(this.#writer.header());
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
      writeAll(this.#file, bytes);
    } catch (error) {
      // A full disk must not stop the packets.
      this.#hasFailed = true;
      this.#failed((error as Error).message);
    }
  }
}
