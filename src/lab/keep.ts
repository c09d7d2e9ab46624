/**
 * The capture files of a demo, for users who open them in Wireshark.
 *
 * @module
 */
import { concat } from "../buffer/bytes.ts";
import { OperatorError } from "../errors.ts";
import type { AddressNames } from "../pcap/format.ts";
import { nameBlock } from "../pcap/pcapng.ts";
import { type PcapngItem, readPcapng, splitPcapng } from "../pcap/pcapng_reader.ts";
import { createOwnedDirectory, createOwnedFile, writeAll } from "../sys/file.ts";
import { type Topology, VM } from "./topology.ts";
import { parseIp } from "../ip/address.ts";

/** Suffix of capture files. */
const ENDING = ".pcapng";

/** The contents of all capture files in a directory. Files of a killed run may lack their end. */
export function readCaptures(directory: string): PcapngItem[] {
  return capturesIn(directory).flatMap((name) => [
    ...readPcapng(Deno.readFileSync(`${directory}/${name}`)),
  ]);
}

/**
 * Makes the directory for captures, unless it exists.
 *
 * @throws {OperatorError} if the directory cannot be made
 */
export function prepareKeeping(directory: string): void {
  trying(directory, () => createOwnedDirectory(directory));
}

/**
 * Copies the captures of a directory to another one and adds the lab's names. The user behind sudo
 * owns the copies.
 *
 * @throws {OperatorError} if a copy cannot be written
 */
export function keepCaptures(from: string, to: string, network: Topology): void {
  const names = namesOf(network);
  trying(to, () => {
    for (const name of capturesIn(from)) {
      using file = createOwnedFile(`${to}/${name}`);
      const { header, packets } = splitPcapng(Deno.readFileSync(`${from}/${name}`));
      // Before the packets, because some readers print while they read.
      writeAll(file, concat(header, header.length > 0 ? nameBlock(names) : new Uint8Array(), packets));
    }
  });
}

/**
 * Names of the lab's addresses: those of its hosts file, and `eth1.vm.lab` and so on for the VM's
 * interfaces.
 */
export function namesOf({ names, links }: Topology): AddressNames[] {
  const known = new Set(names.map(([address]) => address));
  const cards = links.flatMap(({ ends }) => ends).filter(({ party }) => party === VM).map((end) =>
    [end.address.replace(/\/.*$/, ""), `${end.interface}.${VM}.lab`] as const
  );
  return [...names, ...cards.filter(([address]) => !known.has(address))].map(([address, name]) => ({
    address: parseIp(address)!,
    names: [name],
  }));
}

function capturesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) => name.endsWith(ENDING))
    .sort();
}

function trying(directory: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    throw new OperatorError(
      `cannot write captures to ${directory}: ${(cause as Error).message}`,
      "choose another directory with --pcap",
      undefined,
      { cause },
    );
  }
}
