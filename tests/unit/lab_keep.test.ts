import assert from "node:assert/strict";
import { keepCaptures, namesOf, prepareKeeping, readCaptures } from "../../src/lab/keep.ts";
import { NO_FAULTS, topology } from "../../src/lab/topology.ts";
import { type PcapngItem, readPcapng } from "../../src/pcap/pcapng_reader.ts";
import { scratchDirectory } from "../e2e/support/program.ts";
import { answeredInside } from "../support/captures.ts";
import { address } from "../support/packets.ts";

const NETWORK = topology(NO_FAULTS);

Deno.test("lab captures: names come from the hosts file and the VM's interfaces", () => {
  const names = new Map(namesOf(NETWORK).map(({ address, names: [name] }) => [address, name]));
  assert.equal(names.get(address("128.30.2.155")), "www.csail.mit.edu");
  assert.equal(names.get(address("192.168.203.2")), "eth3.vm.lab");
  assert.equal(names.get(address("10.0.2.15")), "vm.lab");
  assert.equal(names.size, namesOf(NETWORK).length, "one name an address");
});

Deno.test("lab captures: copies hold the lab's names before the first packet, and nothing else changes", () => {
  using scratch = scratchDirectory();
  const [from, to] = [`${scratch.path}/from`, `${scratch.path}/kept`];
  Deno.mkdirSync(from);
  const files = answeredInside().files();
  for (const [name, bytes] of files) Deno.writeFileSync(`${from}/${name}.pcapng`, bytes);
  prepareKeeping(to);
  keepCaptures(from, to, NETWORK);
  for (const [name, bytes] of files) {
    const before = [...readPcapng(bytes)];
    const after = [...readPcapng(Deno.readFileSync(`${to}/${name}.pcapng`))];
    const first = before.findIndex(({ kind }) => kind === "packet");
    const names = namesOf(NETWORK).map((names) => ({ kind: "names", ...names }));
    assert.deepEqual(after, before.toSpliced(first, 0, ...names as typeof before), name);
  }
});

Deno.test("lab captures: only captures are copied, up to their last whole block", () => {
  using scratch = scratchDirectory();
  const [from, to] = [`${scratch.path}/from`, `${scratch.path}/kept`];
  Deno.mkdirSync(from);
  const [[, bytes]] = answeredInside().files() as [[string, Uint8Array]];
  // Files of a killed run.
  Deno.writeFileSync(`${from}/tunnel.pcapng`, bytes.subarray(0, -1));
  Deno.writeFileSync(`${from}/empty.pcapng`, new Uint8Array());
  Deno.writeTextFileSync(`${from}/stage2.proxy.out`, "proxy port: 1000\n");
  prepareKeeping(to);
  prepareKeeping(to);
  keepCaptures(from, to, NETWORK);
  assert.deepEqual([...Deno.readDirSync(to)].map(({ name }) => name).sort(), [
    "empty.pcapng",
    "tunnel.pcapng",
  ]);
  const packets = (items: readonly PcapngItem[]) => items.filter(({ kind }) => kind === "packet");
  assert.deepEqual(packets(readCaptures(to)), packets([...readPcapng(bytes)]).slice(0, -1));
  assert.deepEqual(Deno.readFileSync(`${to}/empty.pcapng`), new Uint8Array());
});

Deno.test("lab captures: an impossible directory gives cause and remedy", () => {
  assert.throws(() => prepareKeeping("/nowhere/at/all"), {
    name: "OperatorError",
    message: /^cannot write captures to \/nowhere\/at\/all: No such file or directory/,
    remedy: "choose another directory with --pcap",
  });
});
