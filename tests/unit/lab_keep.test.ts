import assert from "node:assert/strict";
import { keepCaptures, namesOf, prepareKeeping, readCaptures, withNames } from "../../src/lab/keep.ts";
import { NO_FAULTS, topology } from "../../src/lab/topology.ts";
import { readPcapng } from "../../src/pcap/pcapng_reader.ts";
import { answeredInside } from "../support/captures.ts";
import { address, concat } from "../support/packets.ts";

const NETWORK = topology(NO_FAULTS);

Deno.test("lab captures: names come from the hosts file and the VM's interfaces", () => {
  const names = new Map(namesOf(NETWORK).map(({ address, names: [name] }) => [address, name]));
  assert.equal(names.get(address("128.30.2.155")), "www.csail.mit.edu");
  assert.equal(names.get(address("192.168.203.2")), "eth3.vm.lab");
  assert.equal(names.get(address("10.0.2.15")), "vm.lab");
  assert.equal(names.size, namesOf(NETWORK).length, "one name an address");
});

Deno.test("lab captures: adding names changes nothing else", () => {
  // One file of those that are behind each other here.
  const items = answeredInside().items();
  const end = items.findIndex(({ kind }, at) => at > 0 && kind === "section");
  const before = items.slice(0, end);
  const after = [...readPcapng(concat(...withNames(before, namesOf(NETWORK))))];
  assert.deepEqual(
    after.filter(({ kind }) => kind !== "names"),
    before.filter(({ kind }) => kind !== "names"),
  );
  assert.equal(after.filter(({ kind }) => kind === "names").length, namesOf(NETWORK).length);
  assert.deepEqual([...withNames([{ kind: "incomplete", offset: 0 }], [])], []);
});

Deno.test("lab captures: only captures are copied to the user's directory", () => {
  const from = Deno.makeTempDirSync();
  try {
    const items = answeredInside().items();
    const bytes = concat(...withNames(items.slice(0, 3), []));
    Deno.writeFileSync(`${from}/tunnel.pcapng`, bytes);
    // What a run that was killed has left.
    Deno.writeFileSync(`${from}/empty.pcapng`, new Uint8Array());
    Deno.writeTextFileSync(`${from}/stage2.proxy.out`, "proxy port: 1000\n");
    const to = `${from}/kept`;
    prepareKeeping(to);
    prepareKeeping(to);
    keepCaptures(from, to, NETWORK);
    assert.deepEqual([...Deno.readDirSync(to)].map(({ name }) => name).sort(), [
      "empty.pcapng",
      "tunnel.pcapng",
    ]);
    const kinds = (directory: string) =>
      readCaptures(directory).map(({ kind }) => kind).filter((kind) => kind !== "names");
    assert.deepEqual(kinds(to), kinds(from));
  } finally {
    Deno.removeSync(from, { recursive: true });
  }
});

Deno.test("lab captures: an impossible directory gives cause and remedy", () => {
  assert.throws(() => prepareKeeping("/nowhere/at/all"), {
    name: "OperatorError",
    message: /^cannot write captures to \/nowhere\/at\/all: No such file or directory/,
    remedy: "choose another directory with --pcap",
  });
});
