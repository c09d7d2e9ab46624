/**
 * Captured packets that leave the VM in the clear, on whichever card.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Capture } from "./capture.ts";
import { Address, type Vm, VM_NEEDS } from "./vm.ts";

/** The needs of a test that looks for leaks. */
export const LEAK_NEEDS = [...VM_NEEDS, "tcpdump"];

/** A captured ping, from a socket with and without a bound address. */
export const CAPTURED = [`-I ${Address.vm} ${Address.csail}`, Address.csail];

/** Captured packets. A router's own packets have the address of its exit. */
const FILTER = `src host ${Address.vm} and (dst net 18.0.0.0/8 or dst net 128.0.0.0/8)`;

/** The other end of each card, and the card's address. */
const CARDS = [
  { party: "gw0", answers: Address.vm },
  ...[1, 2, 3, 4, 5, 6].map((number) => ({ party: `gw${number}`, answers: `192.168.20${number}.2` })),
];

/** Pings again and again, because a refused ping ends at once. */
const PINGS = "while :; do " +
  CAPTURED.map((args) => `ping -n -q -c 3 -i 0.01 -W 0.2 ${args}; `).join("") +
  "sleep 0.01; done";

/**
 * Asserts that no captured packet leaves by any card meanwhile, though bound and unbound sockets
 * send some all the time.
 */
export async function withoutLeak(vm: Vm, act: () => Promise<unknown>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const captures: Capture[] = [];
  for (const { party, answers } of CARDS) {
    captures.push(
      stack.use(await Capture.start(vm.lab, { party, interface: "vm", answers, filter: FILTER })),
    );
  }
  const [program, ...args] = [...vm.lab.inside("vm"), "sh", "-c", PINGS];
  const pings = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  })
    .spawn();
  try {
    await act();
  } finally {
    Deno.kill(-pings.pid, "SIGKILL");
    await pings.status;
  }
  for (const capture of captures) assert.deepEqual(await capture.packets(), []);
}

/** Asserts that captured pings are refused at once. */
export async function assertRefused(vm: Vm): Promise<void> {
  for (const args of CAPTURED) {
    const { code, stdout, stderr } = await vm.ping(`-c 1 -W 0.5 ${args}`);
    assert.notEqual(code, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /bytes from/);
  }
}
