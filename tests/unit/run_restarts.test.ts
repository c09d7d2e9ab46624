/**
 * Restarts on routers that the test plays, in the place of processes.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ReplacedRouter, RouterReady } from "../../src/control/messages.ts";
import { OperatorError } from "../../src/errors.ts";
import { LOOPBACK } from "../../src/ip/address.ts";
import type { Launcher, RouterHandle, RouterUp } from "../../src/run/launch/launcher.ts";
import { RESTART, Restarts } from "../../src/run/restarts.ts";
import { Routers } from "../../src/run/routers.ts";
import { sleep } from "../../src/sys/timer.ts";

/** A router that does what the test says. */
class FakeRouter implements RouterHandle {
  readonly #up = Promise.withResolvers<RouterUp>();
  readonly #ready = Promise.withResolvers<RouterReady>();
  readonly #failed = Promise.withResolvers<OperatorError>();
  readonly up = this.#up.promise;
  readonly ready = this.#ready.promise;
  readonly failed = this.#failed.promise;
  readonly label: string;
  counters = { "link-in": 5 };
  rejected = 1;
  readonly told: ReplacedRouter[] = [];
  isConfigured = false;
  isKilled = false;

  constructor(readonly number: number, readonly pid: number) {
    this.label = `router ${number} (pid ${pid})`;
  }

  die(): void {
    this.#failed.resolve(new OperatorError(`${this.label} died: SIGKILL`, ""));
  }

  comeUp(): void {
    this.#up.resolve({ pid: this.pid, link: { address: LOOPBACK, port: this.pid }, controlPort: 1 });
    this.#ready.resolve({ key: new Uint8Array(32).fill(this.pid) });
  }

  configure(): void {
    this.isConfigured = true;
  }

  replaceNeighbour(other: ReplacedRouter): void {
    assert.ok(this.isConfigured && !this.isKilled);
    this.told.push(other);
  }

  kill(): Promise<void> {
    this.isKilled = true;
    return Promise.resolve();
  }

  stop(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

/** Routers of a run, ready, and everything that happens to them. */
class Rig implements Launcher {
  readonly controlPort = 1;
  readonly rejected = 0;
  readonly launched: FakeRouter[] = [];
  /** When each was launched, in ms. */
  readonly times: number[] = [];
  readonly said: string[] = [];
  /** What a new process does at once. */
  begin: (router: FakeRouter) => void = (router) => router.comeUp();
  /** How many launches fail from now on. */
  refuses = 0;
  fault: unknown;
  routers!: Routers;
  restarts!: Restarts;

  static async start(count: number): Promise<Rig> {
    const rig = new Rig();
    rig.routers = new Routers(rig);
    await rig.routers.start(count);
    for (const router of rig.launched) router.configure();
    rig.restarts = new Restarts(rig.routers, {
      lost: ({ number }, reason) => void rig.said.push(`lost ${number}: ${reason}`),
      settingsOf: () => ({ logFile: "log" }),
      back: (number, { pid }, key) => void rig.said.push(`back ${number}: ${pid} ${key?.[0]}`),
    }, (error) => rig.fault = error);
    return rig;
  }

  launch(number: number): Promise<RouterHandle> {
    this.times.push(performance.now());
    if (this.refuses-- > 0) return Promise.reject(new Error("no memory"));
    const router = new FakeRouter(number, 101 + this.launched.length);
    this.launched.push(router);
    this.begin(router);
    return Promise.resolve(router);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  /** Waits until something was said this often. */
  async heard(count: number): Promise<string[]> {
    for (const limit = Date.now() + 10_000; this.said.length < count;) {
      assert.ok(Date.now() < limit, this.said.join("; "));
      await sleep(5);
    }
    return this.said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.restarts[Symbol.asyncDispose]();
    await this.routers[Symbol.asyncDispose]();
    assert.equal(this.fault, undefined);
  }
}

Deno.test("restarts: a dead router is killed, launched again, and everybody learns of it", async () => {
  await using rig = await Rig.start(3);
  const [one, two, three] = rig.launched as [FakeRouter, FakeRouter, FakeRouter];
  two.die();
  assert.deepEqual(await rig.heard(2), ["lost 2: router 2 (pid 102) died: SIGKILL", "back 2: 104 104"]);
  assert.ok(two.isKilled && rig.launched[3]!.isConfigured);
  const told = [{ number: 2 }, { number: 2, link: { address: LOOPBACK, port: 104 } }];
  assert.deepEqual([one.told, two.told, three.told], [told, [], told]);
  assert.deepEqual(rig.routers.reports.map(({ restarts }) => restarts), [0, 1, 0]);
  assert.deepEqual(rig.routers.reports[1]!.counters, { "link-in": 10 }, "of both processes");
  assert.deepEqual(rig.routers.rejected, { proxy: 0, "router 1": 1, "router 2": 2, "router 3": 1 });
});

Deno.test("restarts: the pause doubles while a router dies again, whenever that is", async () => {
  await using rig = await Rig.start(1);
  // It dies before it is up, when it is ready, and cannot even be launched.
  rig.begin = (router) => router.die();
  rig.launched[0]!.die();
  await sleep(RESTART.pause * 1.5);
  rig.begin = (router) => router.comeUp();
  rig.refuses = 1;
  await rig.heard(2);
  rig.launched.at(-1)!.die();
  await rig.heard(4);
  const pauses = rig.times.slice(1).map((time, index) => time - rig.times[index]!).slice(1);
  assert.equal(pauses.length, 3);
  pauses.forEach((pause, index) => assert.ok(pause > RESTART.pause * 2 ** (index + 1) - 5, `${pauses}`));
});

Deno.test("restarts: of two dead routers, each learns that the other is lost", async () => {
  await using rig = await Rig.start(2);
  rig.begin = () => {};
  for (const router of rig.launched.slice()) router.die();
  await rig.heard(2);
  for (const limit = Date.now() + 5000; rig.launched.length < 4;) {
    assert.ok(Date.now() < limit);
    await sleep(5);
  }
  const [next, other] = rig.launched.slice(2).sort((a, b) => a.number - b.number) as [FakeRouter, FakeRouter];
  next.comeUp();
  await rig.heard(3);
  assert.deepEqual(next.told, [{ number: 2 }]);
  other.comeUp();
  await rig.heard(4);
  assert.deepEqual(next.told.at(-1), { number: 2, link: { address: LOOPBACK, port: other.pid } });
  assert.deepEqual(other.told, []);
});

Deno.test("restarts: the end of the run cuts a restart short, wherever it is", async () => {
  for (const wait of [0, RESTART.pause / 2, RESTART.pause * 1.5]) {
    await using rig = await Rig.start(2);
    rig.begin = () => {};
    rig.launched[0]!.die();
    await rig.heard(1);
    await sleep(wait);
    const asked = performance.now();
    await rig.restarts[Symbol.asyncDispose]();
    assert.ok(performance.now() - asked < RESTART.pause / 2);
  }
});
