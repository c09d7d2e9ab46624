/**
 * The socket of the raw ICMP exit: the kernel's, and the one in memory. Tests in memory prove
 * something about real networks only if the two agree.
 *
 * ```
 *   probe ──► raw ICMP socket ──► lo, 1500 bytes ──► the kernel, which answers
 *   probe ──► MemoryWorld
 * ```
 */
import assert from "node:assert/strict";
import { MemoryWorld } from "../../src/sim/world.ts";
import { address } from "../support/packets.ts";
import { Namespace } from "./support/namespace.ts";
import { needing } from "./support/program.ts";
import { type Observation, probe } from "./support/raw_icmp_probe.ts";

const OWN = "192.0.2.1";
const PROBE = new URL("support/raw_icmp_probe.ts", import.meta.url).pathname;

Deno.test({
  ...needing("raw ICMP socket: behaves as the world in memory does", "root", "namespaces", "ip"),
  async fn() {
    await using namespace = await Namespace.make();
    await namespace.ip("link", "set", "lo", "mtu", "1500");
    await namespace.ip("address", "add", `${OWN}/32`, "dev", "lo");
    const outside = async (): Promise<Observation[]> => {
      const { code, stdout, stderr } = await namespace.run(Deno.execPath(), "run", "-A", PROBE, OWN);
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };
    const world = new MemoryWorld({ address: address(OWN) });
    const inMemory = () => probe(world, address(OWN), () => Promise.resolve());

    const kernel = await outside();
    assert.deepEqual(kernel, await inMemory());
    assert.equal(kernel.filter(({ sent }) => sent === "too-long").length, 2);
    assert.equal(kernel.flatMap(({ came }) => came).length, kernel.length - 2);

    // As in an exit's table while its interface is down.
    await namespace.ip("rule", "add", "priority", "2", "lookup", "local");
    await namespace.ip("rule", "add", "priority", "1", "prohibit");
    await namespace.ip("rule", "delete", "priority", "0");
    world.isUp = false;
    assert.deepEqual(await outside(), await inMemory());
  },
});
