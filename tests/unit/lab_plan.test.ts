import assert from "node:assert/strict";
import { type IpAddress, parseIp } from "../../src/ip/address.ts";
import { broadcast, network, parseCidr } from "../../src/ip/cidr.ts";
import { hostsFile, plan } from "../../src/lab/plan.ts";
import { type Faults, NO_FAULTS, topology } from "../../src/lab/topology.ts";

const sound = topology(NO_FAULTS);

/** How one party is set up. */
function inside(party: string, faults: Partial<Faults> = {}) {
  const { insides } = plan(topology({ ...NO_FAULTS, ...faults }));
  return insides.find(({ namespace }) => namespace === `onion-${party}`) ?? assert.fail(party);
}

Deno.test("lab plan: each party has a namespace, and each link joins two", () => {
  const { namespaces, links } = plan(sound);
  assert.deepEqual(namespaces.slice(0, 3), ["onion-vm", "onion-gw0", "onion-gw1"]);
  assert.equal(new Set(namespaces).size, namespaces.length);
  assert.equal(
    links[0],
    "link add name eth0 netns onion-vm index 11 type veth peer name vm netns onion-gw0 index 111",
  );
  // Without a namespace, `ip` would make an end on the machine itself.
  const end = String.raw`name \w+ netns (onion-\w+) index (\d+)`;
  for (const line of links) {
    const [, one, , other] = new RegExp(`^link add ${end} type veth peer ${end}$`).exec(line) ??
      assert.fail(line);
    assert.ok(one !== other && namespaces.includes(one!) && namespaces.includes(other!), line);
  }
});

Deno.test("lab plan: interface indices are unique", () => {
  const indices = plan(sound).links.flatMap((line) =>
    [...line.matchAll(/index (\d+)/g)].map(([, index]) => index)
  );
  assert.equal(new Set(indices).size, 2 * sound.links.length);
});

Deno.test("lab plan: both ends of a link share a block, and addresses are unique", () => {
  const seen = new Set<IpAddress>();
  for (const { ends } of sound.links) {
    const [one, other] = ends.map(({ address }) => parseCidr(address)!);
    assert.equal(network(one!), network(other!));
    for (const block of [one!, other!]) {
      assert.ok(![network(block), broadcast(block)].includes(block.address));
      assert.ok(!seen.has(block.address));
      seen.add(block.address);
    }
  }
  for (const address of sound.parties.flatMap(({ owns = [] }) => owns).map(parseIp)) {
    if (address === undefined) continue; // a block
    assert.ok(!seen.has(address));
    seen.add(address);
  }
});

Deno.test("lab plan: each gateway is a neighbour", () => {
  for (const { name, routes } of sound.parties) {
    const neighbours = sound.links.map(({ ends }) => ends).filter((ends) =>
      ends.some(({ party }) => party === name)
    )
      .flatMap((ends) => ends.filter(({ party }) => party !== name)).map(({ address }) =>
        address.split("/")[0]
      );
    for (const { by } of routes) {
      if (typeof by !== "string") assert.ok(neighbours.includes(by.gateway), `${name}: ${by.gateway}`);
    }
  }
});

Deno.test("lab plan: no routing loops", () => {
  // net2, in the middle, has no default route; net1, which has one, gets from net2 only what it has
  // a route for.
  assert.ok(!inside("net2").ip.some((line) => line.startsWith("route add default")));
  assert.ok(inside("net2").ip.includes("route add 198.51.100.0/24 via 203.0.113.1"));
  assert.ok(inside("net1").ip.includes("route add unreachable 198.51.100.0/24"));
});

Deno.test("lab plan: sets up the VM as in the course", () => {
  const { sysctls, ip, nft } = inside("vm");
  assert.deepEqual(sysctls, [
    ["ipv6/conf/*/disable_ipv6", 1],
    ["ipv4/ip_forward", 0],
    ["ipv4/conf/*/rp_filter", 2],
  ]);
  assert.deepEqual(ip.slice(0, 5), [
    "link set dev lo up",
    "address add 10.0.2.15/24 dev eth0",
    "link set dev eth0 mtu 1500 up",
    "address add 192.168.201.2/24 dev eth1",
    "link set dev eth1 mtu 1500 up",
  ]);
  assert.ok(ip.includes("address add 192.168.206.2/24 dev eth6"));
  // Each card has a gateway to be found, and packets leave by eth0.
  assert.ok(ip.includes("route add default via 10.0.2.2"));
  assert.equal(ip.at(-1), "route add default via 192.168.206.1 metric 106");
  assert.equal(nft, "");
});

Deno.test("lab plan: a gateway masquerades and forwards", () => {
  const { sysctls, nft } = inside("gw1");
  assert.ok(sysctls.some(([file, value]) => file === "ipv4/ip_forward" && value === 1));
  assert.equal(
    nft,
    `table ip onion {
  chain leaving {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "net1" masquerade
  }
}
`,
  );
});

Deno.test("lab plan: hosts own addresses and blocks, and dead addresses drop in their own ways", () => {
  const { ip } = inside("csail");
  assert.ok(ip.includes("address add 128.30.2.155/32 dev lo"));
  assert.ok(ip.includes("route add local 128.30.3.0/24 dev lo"));
  assert.deepEqual(inside("net3").ip.slice(-3), [
    "route add blackhole 128.30.2.200",
    "route add unreachable 128.30.2.201",
    "route add prohibit 128.30.2.202",
  ]);
  assert.match(inside("net3").nft, /^ {4}ip daddr 128\.30\.4\.21 ip length > 1280 drop$/m);
});

Deno.test("lab plan: faults", () => {
  assert.equal(inside("net2").nft, "");
  assert.match(inside("net2", { loss: 2.5 }).nft, /iifname "net1" numgen random mod 10000 < 250 drop/);
  assert.match(
    inside("net3", { deadRouter: true }).nft,
    /hook prerouting priority raw; policy accept;\n {4}drop\n/,
  );
  const narrow = (faults: Partial<Faults>) =>
    plan(topology({ ...NO_FAULTS, ...faults })).insides.flatMap(({ ip, namespace }) =>
      ip.filter((line) => line.includes("mtu 1280")).map((line) => `${namespace} ${line.split(" ")[3]}`)
    );
  assert.deepEqual(narrow({}), ["onion-net3 small", "onion-small net3"]);
  assert.deepEqual(narrow({ smallMtu: true }), [
    "onion-net2 net3",
    "onion-net3 net2",
    "onion-net3 small",
    "onion-small net3",
  ]);
});

Deno.test("lab plan: the hosts file", () => {
  const lines = hostsFile(sound, "nut").split("\n");
  assert.deepEqual(lines.slice(0, 3), [
    "127.0.0.1\tlocalhost",
    "127.0.1.1\tnut",
    "128.30.2.155\twww.csail.mit.edu",
  ]);
  assert.equal(lines.pop(), "");
  for (const line of lines) assert.ok(parseIp(line.split("\t")[0]!) !== undefined, line);
});
