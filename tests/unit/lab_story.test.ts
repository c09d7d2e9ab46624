import assert from "node:assert/strict";
import { STAGES } from "../../src/config/stages.ts";
import { storyMermaid } from "../../src/lab/mermaid.ts";
import { passages } from "../../src/lab/passages.ts";
import { starts } from "../../src/lab/starts.ts";
import { type Story, storyObjects, storyText } from "../../src/lab/story.ts";
import { answeredInside, Captures } from "../support/captures.ts";

const PROXY_LOG = ["proxy port: 1000", "router: 1, pid: 77, port: 2000"];
const ROUTER_LOG = ["router: 1, pid: 77, port: 2000"];

function story(stage: number, captures: Captures | undefined, rest: Partial<Story> = {}): Story {
  return {
    stage: STAGES.find(({ number }) => number === stage)!,
    starts: starts([PROXY_LOG, ROUTER_LOG]),
    passages: passages(captures?.items() ?? []),
    ping: undefined,
    links: [],
    ...rest,
  };
}

const PING = { command: "ping -c 1 10.5.51.7", sent: 1, received: 1, average: 0.125 };

/** A circuit through these routers, and two pings. */
function built(circuits: "plain" | "sealed", ...path: number[]): Captures {
  const captures = new Captures(circuits, path);
  captures.build();
  captures.ping({ sequence: 1 });
  captures.ping({ sequence: 2 });
  return captures;
}

function assertHasLines(text: string, lines: readonly string[]): void {
  const all = text.split("\n");
  for (const line of lines) assert.ok(all.includes(line), `${line}\n\n${text}`);
}

Deno.test("lab starts: lists each router once, in the order of numbers", () => {
  const second = "router: 2, pid: 78, port: 2001, IP: 192.168.202.2";
  assert.deepEqual(starts([[second], ["ICMP from tunnel", ...PROXY_LOG, second, ""], ROUTER_LOG]), [
    { router: "router 1", pid: 77, port: 2000 },
    { router: "router 2", pid: 78, port: 2001 },
  ]);
});

Deno.test("lab story: stage 1 as text", () => {
  assert.equal(
    storyText(story(1, undefined)),
    `Stage 1: the proxy starts a router, which says "I'm up"

 1. The proxy starts router 1 as process 77.
 2. Router 1 says "I'm up" and gets its settings. It listens on UDP port 2000.`,
  );
});

Deno.test("lab story: stage 2 as text", () => {
  assert.equal(
    storyText(story(2, answeredInside(), { ping: PING })),
    `Stage 2: ping any 10.5.51.x: TUN, proxy, router, and back
$ ping -c 1 10.5.51.7

 1. The proxy starts router 1 as process 77.
 2. Router 1 says "I'm up" and gets its settings. It listens on UDP port 2000.
 3. ping sends a request to 10.5.51.7. The kernel routes the packet into the tunnel, to the proxy.
 4. The proxy sends it to router 1.
 5. Router 1 answers in the place of 10.5.51.7, and returns the reply to the proxy.
 6. The proxy writes it to the tunnel, and the kernel delivers it to ping.

The first ping, as it crosses each link:
  from      to        what              bytes  first bytes                 what the receiver can read
  ping      proxy     IP packet         28     4500001c 12340000 4001ee9a  10.5.51.2 → 10.5.51.7 echo request
  proxy     router 1  relay data 0x01   36     51000000 00000001 4500001c  10.5.51.2 → 10.5.51.7 echo request
  router 1  proxy     return data 0x01  36     54000000 00000001 4500001c  10.5.51.7 → 10.5.51.2 echo reply
  proxy     ping      IP packet         28     4500001c 12340000 4001ee9a  10.5.51.7 → 10.5.51.2 echo reply

Nothing is sealed: every router, and anyone who watches a link, can read everything.

1 of 1 pings were answered, after 0.125 ms on average.

Nothing left the VM: no link of the lab carried a packet.`,
  );
});

Deno.test("lab story: stage 3 as text shows the exit address and the links used", () => {
  const links = [
    { from: "vm", interface: "eth0", to: "gw0", out: 0, in: 0 },
    { from: "vm", interface: "eth1", to: "gw1", out: 2, in: 12 },
  ];
  const captures = new Captures("direct", [1]);
  captures.ping({ sequence: 1 });
  const text = storyText(story(3, captures, { ping: PING, links }));
  assertHasLines(text, [
    " 5. Router 1 sends it to the world through its own interface, as 192.168.201.2.",
    " 6. 128.30.2.155 answers, and router 1 receives the packet at 192.168.201.2.",
    " 7. Router 1 returns it to the proxy, addressed to 10.0.2.15.",
    "  from  by    to   out  in",
    "  vm    eth1  gw1  2    12",
  ]);
  assert.ok(!text.includes("eth0"));
});

Deno.test("lab story: stage 5 as text shows each router's address as source, and plain contents", () => {
  assertHasLines(storyText(story(5, built("plain", 2, 1), { ping: PING })), [
    " 3. The proxy creates a circuit at router 2.",
    " 4. Through router 2, the proxy extends the circuit to router 1.",
    "How the circuit is built:",
    "  proxy     router 2  extend 0x01        14     52000000 00000001 7f000001  extend to router 1, at 127.0.0.1:5001",
    " 6. The proxy sends it to router 2.",
    " 7. Router 2 reads it, replaces the source by its own address 192.168.202.2, and sends it to router 1.",
    " 8. Router 1 sends it to the world through its own interface, as 192.168.201.2.",
    "10. Router 1 returns it to router 2, addressed to 192.168.202.2.",
    "  router 2  router 1  relay data 0x201   36     51000000 00000201 4500001c  192.168.202.2 → 128.30.2.155 echo request",
    "Nothing is sealed: every router, and anyone who watches a link, can read everything.",
  ]);
});

Deno.test("lab story: stage 6 as text shows what each party can read", () => {
  const text = storyText(story(6, built("sealed", 3, 1, 2), { ping: PING }));
  const [, beginning, building, way, crossings, moral] = text.split("\n\n");
  assert.match(
    beginning!,
    /^ 5\. Through router 3 and router 1, the proxy extends the circuit to router 2\. /m,
  );
  assert.equal(building!.split("\n")[0], "How the circuit is built:");
  assert.equal(
    way,
    ` 6. ping sends a request to 128.30.2.155. The kernel routes the packet into the tunnel, to the proxy.
 7. The proxy replaces the source by 0.0.0.0, seals the packet in 3 layers, for router 2, router 1 and
    router 3, and sends it to router 3.
 8. Router 3 removes its layer, learns only the next hop, and sends the rest to router 1.
 9. Router 1 removes its layer, learns only the next hop, and sends the rest to router 2.
10. Router 2 removes the last layer, learns the destination but not the sender, and sends the packet to the
    world as 192.168.202.2.
11. 128.30.2.155 answers, and router 2 receives the packet at 192.168.202.2.
12. Router 2 seals it in a layer, and returns it to router 1.
13. Router 1 cannot read it, adds a layer, and returns it to router 3.
14. Router 3 cannot read it, adds a layer, and returns it to the proxy.
15. The proxy removes 3 layers, writes the packet to the tunnel, and the kernel delivers it to ping.`,
  );
  const rows = crossings!.split("\n").map((row) =>
    row.replace(/ [0-9a-f]{8} [0-9a-f]{8} [0-9a-f]{8} /, " … ")
  );
  assert.deepEqual(rows.map((row) => row.trim().replace(/ {2,}/g, " | ")), [
    "The first ping, as it crosses each link:",
    "from | to | what | bytes | first bytes | what the receiver can read",
    "ping | proxy | IP packet | 28 | … | 10.0.2.15 → 128.30.2.155 echo request",
    "proxy | router 3 | relay sealed data 0x01 | 108 | … | only the next hop:",
    "76 bytes are sealed for others",
    "router 3 | router 1 | relay sealed data 0x301 | 84 | … | only the next hop:",
    "52 bytes are sealed for others",
    "router 1 | router 2 | relay sealed data 0x101 | 60 | … | 0.0.0.0 → 128.30.2.155 echo request:",
    "but not the sender",
    "router 2 | world | IP packet | 28 | … | 192.168.202.2 → 128.30.2.155 echo request",
    "world | router 2 | IP packet | 28 | … | 128.30.2.155 → 192.168.202.2 echo reply",
    "router 2 | router 1 | return sealed data 0x101 | 60 | … | only the next hop:",
    "52 bytes are sealed for others",
    "router 1 | router 3 | return sealed data 0x301 | 84 | … | only the next hop:",
    "76 bytes are sealed for others",
    "router 3 | proxy | return sealed data 0x01 | 108 | … | 128.30.2.155 → 10.0.2.15 echo reply",
    "proxy | ping | IP packet | 28 | … | 128.30.2.155 → 10.0.2.15 echo reply",
  ]);
  assert.equal(
    moral,
    `108 bytes are 28 of the packet, 8 of the cell header, and 3 times 24 of a layer's counter and tag.
Anyone who watches a link sees when a cell passes, its size and its circuit id, but nothing of its contents.`,
  );
  assert.deepEqual(text.split("\n").filter((line) => line.length > 130), []);
});

Deno.test("lab story: a ping without an answer", () => {
  const captures = new Captures("sealed", [1, 2]);
  captures.ping({ sequence: 1, end: "lost in the world" });
  const text = storyText(
    story(6, captures, { ping: { command: "ping", sent: 1, received: 0, average: undefined } }),
  );
  assert.match(text, /^ 6\. Router 2 removes .*\n.*\n 7\. Nothing comes back\.\n/m);
  assertHasLines(text, ["0 of 1 pings were answered."]);
});

Deno.test("lab story: a ping that is lost between routers", () => {
  const captures = new Captures("sealed", [1, 2]);
  captures.build();
  captures.ping({ sequence: 1, end: "lost on the first link" });
  const text = storyText(story(6, captures, { ping: { ...PING, received: 0, average: undefined } }));
  assert.match(
    text,
    /^ 6\. The proxy replaces .*, seals the packet in 2 layers, for router 2 and router 1, and\n {4}sends it/m,
  );
  assert.match(text, /^ 7\. Nothing comes back\.$/m);
  assert.match(text, /^84 bytes are 28 of the packet, 8 of the cell header, and 2 times 24 of a layer's /m);
  assert.match(text, /^ {2}proxy +router 1 +relay sealed data 0x01 +84 +(?:[0-9a-f]{8} ?){3}$/m);
});

Deno.test("lab story: a ping that gets an ICMP error", () => {
  const captures = new Captures("sealed", [1]);
  captures.ping({ sequence: 1, end: "time exceeded" });
  assertHasLines(storyText(story(6, captures)), [
    ' 6. 203.0.113.2 reports "time exceeded", and router 1 receives the packet at 192.168.201.2.',
    " 7. Router 1 seals it in a layer, and returns it to the proxy.",
    " 8. The proxy removes one layer, writes the packet to the tunnel, and the kernel delivers it to ping.",
  ]);
});

Deno.test("lab story: a ping that left no trace", () => {
  const text = storyText(story(2, undefined, { ping: { ...PING, received: 0, average: undefined } }));
  assert.doesNotMatch(text, /first ping|sealed/);
  assertHasLines(text, ["0 of 1 pings were answered."]);
});

Deno.test("lab story: as a Mermaid sequence diagram", () => {
  assert.equal(
    storyMermaid(story(2, answeredInside(), { ping: PING })),
    `sequenceDiagram
  participant ping as ping
  participant proxy as proxy
  participant router1 as router 1
  proxy->>router1: starts it, pid 77
  router1-->>proxy: I'm up, port 2000
  ping->>proxy: IP packet, 28 bytes
  Note over proxy: 10.5.51.2 → 10.5.51.7 echo request
  proxy->>router1: relay data 0x01, 36 bytes
  Note over router1: 10.5.51.2 → 10.5.51.7 echo request
  router1->>proxy: return data 0x01, 36 bytes
  Note over proxy: 10.5.51.7 → 10.5.51.2 echo reply
  proxy->>ping: IP packet, 28 bytes
  Note over ping: 10.5.51.7 → 10.5.51.2 echo reply
  Note over ping: 1 of 1 pings were answered, after 0.125 ms on average.`,
  );
});

Deno.test("lab story: the Mermaid diagram lists the routers of the path in order, and no others", () => {
  const more = [
    "router: 2, pid: 78, port: 2001",
    "router: 3, pid: 79, port: 2002",
    "router: 4, pid: 80, port: 2003",
  ];
  const text = storyMermaid(
    story(6, built("sealed", 3, 1, 2), { starts: starts([PROXY_LOG, more]), ping: PING }),
  );
  assert.deepEqual([...text.matchAll(/^ {2}participant (\w+) as .*$/gm)].map(([, name]) => name), [
    "ping",
    "proxy",
    "router3",
    "router1",
    "router2",
    "world",
  ]);
  assertHasLines(text, [
    "  proxy->>router3: handshake 0x01, 56 bytes",
    "  proxy->>router3: sealed extend 0x01, 86 bytes",
    "  Note over router3: sealed in 1 layer for router 3:<br/>extend to router 1, with a handshake for it",
    "  router1->>router2: relay sealed data 0x101, 60 bytes",
    "  Note over router2: 0.0.0.0 → 128.30.2.155 echo request:<br/>but not the sender",
  ]);
  assert.doesNotMatch(text, /router4/);
});

Deno.test("lab story: the Mermaid diagram of a stage without packets", () => {
  assert.equal(
    storyMermaid(story(1, undefined)),
    `sequenceDiagram
  participant proxy as proxy
  participant router1 as router 1
  proxy->>router1: starts it, pid 77
  router1-->>proxy: I'm up, port 2000`,
  );
});

Deno.test("lab story: as objects", () => {
  const objects = storyObjects(story(2, answeredInside(), { ping: PING }));
  assert.deepEqual(objects.map(({ event }) => event), [
    "demo",
    "start",
    "packet",
    "packet",
    "packet",
    "packet",
    "ping",
  ]);
  assert.deepEqual(objects[1], { event: "start", router: "router 1", pid: 77, port: 2000 });
  assert.deepEqual(objects[3], {
    event: "packet",
    time: "2023-11-14T22:13:20.001Z",
    round: 1,
    from: "proxy",
    to: "router 1",
    cell: "relay data",
    circuit: "0x01",
    bytes: 36,
    first: "51000000000000014500001c",
    source: "10.5.51.2",
    destination: "10.5.51.7",
    type: 8,
    receiver: "10.5.51.2 → 10.5.51.7 echo request",
    watcher: "10.5.51.2 → 10.5.51.7 echo request",
  });
});

Deno.test("lab story: objects cover all pings, and show only what each party can read", () => {
  const objects = storyObjects(story(6, built("sealed", 1, 2), { ping: PING }));
  assert.deepEqual(objects.filter(({ event }) => event === "cell").length, 6);
  const packets = objects.filter(({ event }) => event === "packet");
  assert.deepEqual(packets.map(({ round }) => round), [1, 2].flatMap((round) => Array(8).fill(round)));
  assert.deepEqual(packets[1], {
    event: "packet",
    time: packets[1]!.time,
    round: 1,
    from: "proxy",
    to: "router 1",
    cell: "relay sealed data",
    circuit: "0x01",
    bytes: 84,
    first: packets[1]!.first,
    receiver: "only the next hop: 52 bytes are sealed for others",
    watcher: "size and circuit id",
  });
});
