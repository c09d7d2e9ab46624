/**
 * The capture files of a demo, for whoever wants to open them in Wireshark.
 *
 * @module
 */
import { OperatorError } from "../errors.ts";
import type { AddressNames, LinkType } from "../pcap/format.ts";
import { type PcapngInterface, PcapngWriter } from "../pcap/pcapng.ts";
import { type InterfaceItem, type PcapngItem, readPcapng } from "../pcap/pcapng_reader.ts";
import { createOwnedDirectory, createOwnedFile } from "../sys/file.ts";
import { type Topology, VM } from "./topology.ts";
import { parseIp } from "../ip/address.ts";

/** The ending of a capture file's name. */
const ENDING = ".pcapng";

/** What all capture files in a directory hold. Those of a run that was killed may lack their end. */
export function readCaptures(directory: string): PcapngItem[] {
  return capturesIn(directory).flatMap((name) => [
    ...readPcapng(Deno.readFileSync(`${directory}/${name}`)),
  ]);
}

/**
 * Makes the directory for captures, where there is none.
 *
 * @throws {OperatorError} where nothing can be written there
 */
export function prepareKeeping(directory: string): void {
  trying(directory, () => createOwnedDirectory(directory));
}

/**
 * Writes the captures of one directory to another, with the lab's names in them. They belong to the user behind sudo.
 *
 * @throws {OperatorError} where they cannot be written
 */
export function keepCaptures(from: string, to: string, network: Topology): void {
  const names = namesOf(network);
  trying(to, () => {
    for (const name of capturesIn(from)) {
      using file = createOwnedFile(`${to}/${name}`);
      const items = [...readPcapng(Deno.readFileSync(`${from}/${name}`))];
      for (const bytes of withNames(items, names)) {
        for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      }
    }
  });
}

/** What addresses in the lab are called: as its hosts file has it, and the VM's cards by their names. */
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

/** A capture file of one section once more, block by block, with more names before its first packet. */
export function* withNames(
  items: readonly PcapngItem[],
  names: readonly AddressNames[],
): Generator<Uint8Array, void, undefined> {
  const [first, ...others] = items.filter((item) => item.kind === "interface");
  if (first === undefined) return;
  const writer = new PcapngWriter({
    application: items.find((item) => item.kind === "section")?.application ?? "",
    interfaces: [described(first), ...others.map(described)],
    names: [...items.filter((item) => item.kind === "names"), ...names],
  });
  yield writer.header();
  for (const item of items) {
    if (item.kind !== "packet") continue;
    yield writer.packet(item.timestamp, item.bytes, item.comments.join("\n"), item.on.id);
  }
}

function described({ linkType, name, description }: InterfaceItem): PcapngInterface {
  return { linkType: linkType as LinkType, name, description };
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
