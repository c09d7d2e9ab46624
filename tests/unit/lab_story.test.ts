import assert from "node:assert/strict";
import { STAGES } from "../../src/config/stages.ts";
import { passages } from "../../src/lab/passages.ts";
import { type Story, storyMermaid, storyObjects, storyText } from "../../src/lab/story.ts";

const PROXY_HEAD = ["proxy port: 1000", "router: 1, pid: 77, port: 2000"];
const ROUTER_HEAD = ["router: 1, pid: 77, port: 2000"];

/** Log lines about a packet. */
const fromTunnel = (packet: string) => `ICMP from tunnel, ${packet}`;
const fromPort = (port: number, packet: string) => `ICMP from port: ${port}, ${packet}`;
const fromRawSocket = (packet: string) => `ICMP from raw sock, ${packet}`;
const REQUEST = "src: 10.5.51.2, dst: 10.5.51.7, type: 8";
const REPLY = "src: 10.5.51.7, dst: 10.5.51.2, type: 0";

/** Legs of packets as `1 ping→proxy 8`: the round, who to whom, the ICMP type. */
function legs(logs: Record<string, string[]>): string[] {
  return passages(new Map(Object.entries(logs))).flatMap((passage) =>
    passage.kind === "packet" ? [`${passage.round} ${passage.from}→${passage.to} ${passage.type}`] : []
  );
}

Deno.test("a router's start is told once, though two logs tell of it", () => {
  assert.deepEqual(passages(new Map([["proxy", PROXY_HEAD], ["router 1", ROUTER_HEAD]])), [
    { kind: "start", router: "router 1", pid: 77, port: 2000 },
  ]);
});

Deno.test("two pings through one router: lines of two files, in the order of what they tell", () => {
  const proxy = [fromTunnel(REQUEST), fromPort(2000, REPLY)];
  const router = [fromPort(1000, REQUEST)];
  assert.deepEqual(
    legs({
      proxy: [...PROXY_HEAD, ...proxy, ...proxy],
      "router 1": [...ROUTER_HEAD, ...router, ...router],
    }),
    [1, 2].flatMap((round) => [
      `${round} ping→proxy 8`,
      `${round} proxy→router 1 8`,
      `${round} router 1→proxy 0`,
      `${round} proxy→ping 0`,
    ]),
  );
});

Deno.test("a packet that is lost on its way does not hold up the next", () => {
  const proxy = [fromTunnel(REQUEST), fromTunnel(REQUEST), fromPort(2000, REPLY)];
  const router = [fromPort(1000, REQUEST), fromPort(1000, REQUEST), fromRawSocket(REPLY)];
  assert.deepEqual(legs({ proxy: [...PROXY_HEAD, ...proxy], "router 1": [...ROUTER_HEAD, ...router] }), [
    "1 ping→proxy 8",
    "1 proxy→router 1 8",
    "2 ping→proxy 8",
    "2 proxy→router 1 8",
    "2 router 1→world 8",
    "2 world→router 1 0",
    "2 router 1→proxy 0",
    "2 proxy→ping 0",
  ]);
});

const WORLDLY = {
  proxy: [
    ...PROXY_HEAD,
    fromTunnel("src: 10.0.2.15, dst: 128.30.2.155, type: 8"),
    fromPort(2000, "src: 128.30.2.155, dst: 10.0.2.15, type: 0"),
  ],
  "router 1": [
    ...ROUTER_HEAD,
    fromPort(1000, "src: 10.0.2.15, dst: 128.30.2.155, type: 8"),
    fromRawSocket("src: 128.30.2.155, dst: 192.168.201.2, type: 0"),
  ],
};

Deno.test("what left for the world is told, although no log does", () => {
  assert.deepEqual(legs(WORLDLY), [
    "1 ping→proxy 8",
    "1 proxy→router 1 8",
    "1 router 1→world 8",
    "1 world→router 1 0",
    "1 router 1→proxy 0",
    "1 proxy→ping 0",
  ]);
});

Deno.test("it does not matter which log is read first", () => {
  const { proxy, "router 1": router } = WORLDLY;
  assert.deepEqual(legs({ "router 1": router, proxy }), legs({ proxy, "router 1": router }));
});

Deno.test("lines that tell of no packet are passed over, and strangers are called by their port", () => {
  assert.deepEqual(
    legs({ proxy: [...PROXY_HEAD, "unknown incoming circuit: 0x07, src: 1.2.3.4, dst: 1.2.3.4", ""] }),
    [],
  );
  assert.deepEqual(legs({ proxy: [fromPort(9, REPLY)] }), ["0 port 9→proxy 0", "0 proxy→ping 0"]);
});

function story(stage: number, logs: Record<string, string[]>, rest: Partial<Story> = {}): Story {
  return {
    stage: STAGES.find(({ number }) => number === stage)!,
    passages: passages(new Map(Object.entries(logs))),
    ping: undefined,
    links: [],
    ...rest,
  };
}

const PING = { command: "ping -c 1 10.5.51.7", sent: 1, received: 1, average: 0.125 };
const STAGE_2 = {
  proxy: [...PROXY_HEAD, fromTunnel(REQUEST), fromPort(2000, REPLY)],
  "router 1": [...ROUTER_HEAD, fromPort(1000, REQUEST)],
};

Deno.test("stage 1 in words", () => {
  assert.equal(
    storyText(story(1, { proxy: PROXY_HEAD, "router 1": ROUTER_HEAD })),
    `Stage 1: the proxy starts a router, which says "I'm up"

 1. The proxy starts router 1, a process of its own with the pid 77.
 2. Router 1 says "I'm up", and is told what to be. It listens on UDP port 2000.`,
  );
});

Deno.test("stage 2 in words", () => {
  assert.equal(
    storyText(story(2, STAGE_2, { ping: PING })),
    `Stage 2: ping any 10.5.51.x: TUN, proxy, router, and back
$ ping -c 1 10.5.51.7

 1. The proxy starts router 1, a process of its own with the pid 77.
 2. Router 1 says "I'm up", and is told what to be. It listens on UDP port 2000.
 3. ping asks for 10.5.51.7. The kernel leads the packet into the tunnel, to the proxy.
 4. The proxy hands it on to router 1.
 5. Router 1 answers itself, in the place of 10.5.51.7, and returns that to the proxy.
 6. The proxy writes it into the tunnel, and the kernel gives it to ping.

  ping  from      to        source     destination  ICMP
  1     ping      proxy     10.5.51.2  10.5.51.7    echo request
  1     proxy     router 1  10.5.51.2  10.5.51.7    echo request
  1     router 1  proxy     10.5.51.7  10.5.51.2    echo reply
  1     proxy     ping      10.5.51.7  10.5.51.2    echo reply

1 of 1 pings were answered, after 0.125 ms on average.

Nothing left the VM: no link of the lab carried a packet.`,
  );
});

Deno.test("stage 3 in words: who the world sees, and the links that carried it", () => {
  const links = [
    { from: "vm", interface: "eth0", to: "gw0", out: 0, in: 0 },
    { from: "vm", interface: "eth1", to: "gw1", out: 2, in: 12 },
  ];
  const text = storyText(story(3, WORLDLY, { ping: PING, links }));
  for (
    const line of [
      " 5. Router 1 sends it into the world by an interface of its own, as 192.168.201.2.",
      " 6. 128.30.2.155 answers, and router 1 gets that, addressed to 192.168.201.2.",
      " 7. Router 1 returns it to the proxy, addressed to 10.0.2.15.",
      "  from  by    to   out  in",
      "  vm    eth1  gw1  2    12",
    ]
  ) assert.ok(text.split("\n").includes(line), line);
  assert.ok(!text.includes("eth0"));
});

Deno.test("a ping that gets nothing", () => {
  const text = storyText(
    story(2, { proxy: [...PROXY_HEAD, fromTunnel(REQUEST)] }, {
      ping: { command: "ping", sent: 1, received: 0, average: undefined },
    }),
  );
  assert.ok(text.includes(" 4. Nothing comes back.\n"));
  assert.ok(text.includes("0 of 1 pings were answered.\n"));
});

Deno.test("as a Mermaid sequence diagram", () => {
  assert.equal(
    storyMermaid(story(2, STAGE_2, { ping: PING })),
    `sequenceDiagram
  participant ping as ping
  participant proxy as proxy
  participant router1 as router 1
  proxy->>router1: starts it, pid 77
  router1-->>proxy: I'm up, port 2000
  ping->>proxy: 10.5.51.2 → 10.5.51.7, echo request
  proxy->>router1: 10.5.51.2 → 10.5.51.7, echo request
  router1->>proxy: 10.5.51.7 → 10.5.51.2, echo reply
  proxy->>ping: 10.5.51.7 → 10.5.51.2, echo reply
  Note over ping: 1 of 1 pings were answered, after 0.125 ms on average.`,
  );
});

Deno.test("as objects", () => {
  const objects = storyObjects(story(2, STAGE_2, { ping: PING }));
  assert.deepEqual(objects.map(({ event }) => event), [
    "demo",
    "start",
    "packet",
    "packet",
    "packet",
    "packet",
    "ping",
  ]);
  assert.deepEqual(objects[2], {
    event: "packet",
    round: 1,
    from: "ping",
    to: "proxy",
    source: "10.5.51.2",
    destination: "10.5.51.7",
    type: 8,
  });
});
