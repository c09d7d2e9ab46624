import { OperatorError } from "../../src/errors.ts";
import {
  changesOfClosedCaptures,
  changesOfLiveRuns,
  clearLeftovers,
  Journal,
  leftovers,
  liveRuns,
  requireJournals,
  undoLeftovers,
} from "../../src/host/apply/journal.ts";
import { makeChanges } from "../../src/host/apply/make_changes.ts";
import { BatchError } from "../../src/host/apply/programs.ts";
import { type Command, command } from "../../src/host/plan/action.ts";
import type { Change } from "../../src/host/plan/change.ts";
import { lockFile } from "../../src/sys/file.ts";
import assert from "node:assert/strict";

/** A directory for journals, and a log that harmless commands write to. */
class Scratch implements Disposable {
  readonly #root = Deno.makeTempDirSync();
  /** Does not exist before the first change. */
  readonly dir = `${this.#root}/journals`;
  readonly #log = `${this.#root}/log`;

  /** A command that logs a word. */
  say(word: string): Command {
    return ["sh", "-c", `echo ${word} >>${this.#log}`];
  }

  /** A change of this name, whose commands log what they do. */
  change(name: string, undo: Command = this.say(`undo-${name}`)): Change {
    return { what: name, isThere: false, make: command(...this.say(`make-${name}`)), undo: command(...undo) };
  }

  /** The words that were logged since the last call. */
  said(): string[] {
    try {
      const words = Deno.readTextFileSync(this.#log).split("\n").slice(0, -1);
      Deno.removeSync(this.#log);
      return words;
    } catch {
      return [];
    }
  }

  files(): string[] {
    try {
      return [...Deno.readDirSync(this.dir)].map(({ name }) => name).toSorted();
    } catch {
      return [];
    }
  }

  read(name: string): string {
    return Deno.readTextFileSync(`${this.dir}/${name}`);
  }

  write(name: string, ...lines: (string | object)[]): void {
    Deno.mkdirSync(this.dir, { recursive: true });
    const text = lines.map((line) => typeof line === "string" ? line : `${JSON.stringify(line)}\n`).join("");
    Deno.writeTextFileSync(`${this.dir}/${name}`, text);
  }

  /** Whether the directory of journals is gone. */
  isClean(): boolean {
    return [...Deno.readDirSync(this.#root)].every(({ name }) => name === "log");
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#root, { recursive: true });
  }
}

const OWN = `${Deno.pid}.journal`;

/** The first line of a journal of this process, which is alive. */
async function ownHeader(): Promise<Record<string, unknown>> {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  await journal.change([recorded("x", ["true"])], () => Promise.resolve());
  const [header] = scratch.read(OWN).split("\n");
  await journal.undo();
  return JSON.parse(header!);
}

/** The first line of a journal of a process that has ended. */
async function deadHeader(but: object = {}): Promise<object> {
  const child = new Deno.Command("true").spawn();
  await child.status;
  return { ...await ownHeader(), pid: child.pid, ...but };
}

/** An entry, as a line of the file holds it. */
const entry = (change: string, undo: Command) => ({ change, undo });

/** An entry, as `Journal.change` takes it. */
const recorded = (change: string, undo: Command) => ({ change, undo: command(...undo) });

Deno.test("journal: records a change before it is made", async () => {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  const seen: string[] = [];
  for (const name of ["a", "b"]) {
    await journal.change([recorded(name, scratch.say(name))], () => {
      seen.push(scratch.read(OWN).split("\n").at(-2)!);
      return Promise.resolve();
    });
  }
  assert.deepEqual(seen.map((line) => JSON.parse(line).change), ["a", "b"]);
  const [header] = scratch.read(OWN).split("\n");
  const { pid, started, boot, network } = JSON.parse(header!);
  assert.deepEqual([pid, typeof started, typeof boot, typeof network], [
    Deno.pid,
    "string",
    "string",
    "string",
  ]);
  assert.equal(Deno.statSync(`${scratch.dir}/${OWN}`).mode! & 0o777, 0o600);
  assert.equal(Deno.statSync(scratch.dir).mode! & 0o777, 0o700);
  await journal.undo();
});

Deno.test("journal: undoes changes in reverse order, and leaves nothing", async () => {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  await makeChanges(["a", "b", "c"].map((name) => scratch.change(name)), journal, true);
  assert.deepEqual(scratch.said(), ["make-a", "make-b", "make-c"]);
  assert.deepEqual(await journal.undo(), ["c", "b", "a"].map((change) => ({ change, outcome: "undone" })));
  assert.deepEqual(scratch.said(), ["undo-c", "undo-b", "undo-a"]);
  assert.ok(scratch.isClean());
  assert.deepEqual(await journal.undo(), [], "once");
});

Deno.test("journal: records a batch in one go, and undoes only what was done if it fails", async () => {
  using scratch = new Scratch();
  const failure = new OperatorError("the third failed", "fix it");
  for (const [done, left] of [[0, []], [2, ["a"]], [3, ["a", "c"]], [undefined, ["a", "c", "d"]]] as const) {
    const journal = new Journal(scratch.dir);
    let seen: string[] = [];
    await assert.rejects(
      // Nobody needs to undo the second.
      journal.change(
        [recorded("a", ["true"]), undefined, recorded("c", ["true"]), recorded("d", ["true"])],
        () => {
          seen = [...changesOfLiveRuns(scratch.dir).keys()];
          return Promise.reject(new BatchError(failure, done));
        },
      ),
      { name: "OperatorError", message: "the third failed" },
    );
    assert.deepEqual(seen, ["a", "c", "d"]);
    assert.deepEqual([...changesOfLiveRuns(scratch.dir).keys()], left, `${done} done`);
    assert.deepEqual((await journal.undo()).map(({ change }) => change), left.toReversed());
  }
  assert.ok(scratch.isClean());
});

Deno.test("journal: judges each undo of a batch by itself, even if `ip` does not say how far it got", async () => {
  using scratch = new Scratch();
  const fails: Command = ["ip", "link", "show", "onion-none"];
  const isLeftAtOnce: Command = ["ip", "address", "add", "300.1.1.1/24", "dev", "lo"];
  for (const bad of [fails, isLeftAtOnce]) {
    const journal = new Journal(scratch.dir);
    const entries = [
      recorded("a", scratch.say("undo-a")),
      recorded("b", ["ip", "link", "show", "lo"]),
      recorded("c", bad),
      recorded("d", ["ip", "link", "show", "lo"]),
      recorded("e", ["ip", "rule", "show"]),
    ];
    await journal.change(entries, () => Promise.resolve());
    assert.deepEqual((await journal.undo()).map(({ change, outcome }) => [change, outcome]), [
      ["e", "undone"],
      ["d", "undone"],
      ["c", "failed"],
      ["b", "undone"],
      ["a", "undone"],
    ]);
    assert.deepEqual(scratch.said(), ["undo-a"]);
    assert.deepEqual([...changesOfLiveRuns(scratch.dir).keys()], ["c"], "it is tried again");
    Deno.removeSync(`${scratch.dir}/${OWN}`);
  }
});

Deno.test("journal: does not exist without a change", async () => {
  using scratch = new Scratch();
  await new Journal(scratch.dir).undo();
  assert.ok(scratch.isClean());
  assert.deepEqual(await undoLeftovers(scratch.dir), []);
});

Deno.test("making changes: records what goes with the TUN only if the TUN stays", async () => {
  using scratch = new Scratch();
  const changes = [{ ...scratch.change("a"), goesWithTun: true }, scratch.change("b")];
  for (const tunStays of [false, true]) {
    const journal = new Journal(scratch.dir);
    await makeChanges(changes, journal, tunStays);
    await journal.undo();
    const undone = tunStays ? ["undo-b", "undo-a"] : ["undo-b"];
    assert.deepEqual(scratch.said(), ["make-a", "make-b", ...undone]);
  }
});

Deno.test("making changes: stops at a failure, and undoes only what was made", async () => {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  const changes = [
    scratch.change("a"),
    { ...scratch.change("b"), make: command("false") },
    scratch.change("c"),
  ];
  await assert.rejects(makeChanges(changes, journal, true), { message: "`false` failed: exit code 1" });
  assert.deepEqual((await journal.undo()).map(({ change }) => change), ["a"]);
  assert.deepEqual(scratch.said(), ["make-a", "undo-a"]);
  assert.ok(scratch.isClean());
});

Deno.test("making changes: reports an optional change that fails, and goes on", async () => {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  const optional = { ...scratch.change("a"), make: command("false"), isOptional: true };
  assert.deepEqual(await makeChanges([optional, scratch.change("b")], journal, true), [
    { what: "a", error: "`false` failed: exit code 1" },
  ]);
  assert.deepEqual(
    [...changesOfLiveRuns(scratch.dir).keys()],
    ["b"],
    "if this run were killed, nobody would undo a",
  );
  assert.deepEqual((await journal.undo()).map(({ change }) => change), ["b"]);
  assert.deepEqual(scratch.said(), ["make-b", "undo-b"]);
  assert.ok(scratch.isClean());
});

Deno.test("making changes: finishes the current change after an abort, and begins no other", async () => {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  const over = new AbortController();
  const last: Change = {
    ...scratch.change("b"),
    // `makeChanges` reads this when it begins the change.
    get undo() {
      over.abort("SIGINT");
      return command(...scratch.say("undo-b"));
    },
  };
  const changes = [scratch.change("a"), last, scratch.change("c")];
  await assert.rejects(makeChanges(changes, journal, true, over.signal), (reason) => reason === "SIGINT");
  assert.deepEqual((await journal.undo()).map(({ change }) => change), ["b", "a"]);
  assert.deepEqual(scratch.said(), ["make-a", "make-b", "undo-b", "undo-a"]);
  assert.ok(scratch.isClean());
});

Deno.test("making changes: a signal that ends `ip` ends the run if it was meant for us, and else is a failure", async () => {
  const path = Deno.env.get("PATH") ?? "";
  for (const isMeantForUs of [true, false]) {
    using scratch = new Scratch();
    const [ip, log] = [`${scratch.dir}-bin/ip`, scratch.say("made").at(-1)];
    Deno.mkdirSync(`${scratch.dir}-bin`);
    Deno.writeTextFileSync(ip, `#!/bin/sh\n${log}\nkill -INT $$\n`, { mode: 0o755 });
    Deno.env.set("PATH", `${scratch.dir}-bin:${path}`);
    const journal = new Journal(scratch.dir);
    const over = new AbortController();
    const changes = ["a", "b"].map((name) => ({ ...scratch.change(name), make: command("ip", name) }));
    try {
      const making = makeChanges(changes, journal, true, over.signal);
      const hears = async () => {
        while (scratch.said().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        if (isMeantForUs) over.abort("SIGINT");
      };
      const [outcome] = await Promise.allSettled([making, hears()]);
      assert.equal(outcome.status, "rejected");
      if (isMeantForUs) assert.equal(outcome.reason, "SIGINT");
      else assert.equal(outcome.reason.message, "`ip -batch -` failed: ended by SIGINT");
    } finally {
      Deno.env.set("PATH", path);
    }
    assert.deepEqual((await journal.undo()).map(({ change }) => change), ["b", "a"]);
    assert.deepEqual(scratch.said(), ["undo-b", "undo-a"]);
    Deno.removeSync(`${scratch.dir}-bin`, { recursive: true });
    assert.ok(scratch.isClean());
  }
});

Deno.test("making changes: leaves no journal if the first change fails", async () => {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  await assert.rejects(makeChanges([{ ...scratch.change("a"), make: command("false") }], journal, true));
  assert.deepEqual([await journal.undo(), scratch.said()], [[], []]);
  assert.ok(scratch.isClean());
});

Deno.test("journal: no change is made if it cannot be written", async () => {
  using scratch = new Scratch();
  const journal = new Journal("/dev/null/onion");
  await assert.rejects(makeChanges([scratch.change("a")], journal, true), {
    name: "OperatorError",
    message: /^cannot write the journal \/dev\/null\/onion\/\d+\.journal: /,
    remedy: "make /run writable: onion changes nothing that it could not undo",
  });
  assert.deepEqual(scratch.said(), []);
});

Deno.test("leftovers: a dead run's changes are undone in reverse order, and its journal is removed", async () => {
  using scratch = new Scratch();
  scratch.write("1.journal", await deadHeader(), entry("a", scratch.say("a")), entry("b", scratch.say("b")));
  assert.deepEqual(leftovers(scratch.dir), ["a", "b"]);
  assert.deepEqual(await undoLeftovers(scratch.dir), [
    { change: "b", outcome: "undone" },
    { change: "a", outcome: "undone" },
  ]);
  assert.deepEqual(scratch.said(), ["b", "a"]);
  assert.ok(scratch.isClean());
});

Deno.test("leftovers: a reused process id does not keep a journal alive", async () => {
  using scratch = new Scratch();
  scratch.write("1.journal", { ...await ownHeader(), started: "1" }, entry("a", scratch.say("a")));
  await undoLeftovers(scratch.dir);
  assert.deepEqual(scratch.said(), ["a"]);
});

Deno.test("leftovers: a live run's changes are left alone, and listed as its own", async () => {
  using scratch = new Scratch();
  const header = await ownHeader();
  scratch.write("1.journal", header, entry("a", scratch.say("a")), entry("b", scratch.say("b")));
  assert.deepEqual([await undoLeftovers(scratch.dir), leftovers(scratch.dir)], [[], []]);
  assert.deepEqual([scratch.said(), scratch.files()], [[], ["1.journal"]]);
  assert.deepEqual([...changesOfLiveRuns(scratch.dir)], [["a", Deno.pid], ["b", Deno.pid]]);
});

Deno.test("leftovers: changes that went with their network namespace or a reboot are undone nowhere else", async () => {
  using scratch = new Scratch();
  // An inode that no namespace has; another namespace with our inode; an earlier boot.
  for (const but of [{ network: "1" }, { cookie: "0" }, { boot: "x" }]) {
    scratch.write("1.journal", await deadHeader(but), entry("a", scratch.say("a")));
    assert.deepEqual(leftovers(scratch.dir), []);
    assert.deepEqual(await undoLeftovers(scratch.dir), [], JSON.stringify(but));
    assert.deepEqual(scratch.said(), []);
    assert.ok(scratch.isClean());
  }
});

Deno.test("journal file: ignores an unfinished last line", async () => {
  using scratch = new Scratch();
  const whole = JSON.stringify(entry("b", scratch.say("b")));
  for (let length = 0; length < whole.length; length += 7) {
    scratch.write("1.journal", await deadHeader(), entry("a", scratch.say("a")), whole.slice(0, length));
    assert.deepEqual((await undoLeftovers(scratch.dir)).map(({ change }) => change), ["a"]);
    assert.deepEqual(scratch.said(), ["a"]);
  }
});

Deno.test("leftovers: a change that is gone already is not a failure", async () => {
  // The words of ip 6.1 on Linux 6.18 and older, nft 1.0.6, iptables 1.8.9, and /proc.
  const words = [
    'Cannot find device "eth7"',
    "Error: ipv4: Address not found.",
    "RTNETLINK answers: Cannot assign requested address",
    "RTNETLINK answers: No such file or directory",
    "RTNETLINK answers: No such process",
    "Error: FIB table does not exist.",
    "Error: Could not process rule: No such file or directory",
    "Error: No such file or directory; did you mean table ‘onion_1’ in family ip?",
    "iptables: Bad rule (does a matching rule exist in that chain?).",
    "iptables: No chain/target/match by that name.",
  ];
  using scratch = new Scratch();
  const undos = words.map((said): Command => ["sh", "-c", 'echo "$1" >&2; exit 2', "sh", said]);
  const noSysctl: Command = ["sysctl", "-w", "net.ipv4.conf.onion-none.rp_filter=1"];
  scratch.write("1.journal", await deadHeader(), ...[...undos, noSysctl].map((undo) => entry("x", undo)));
  assert.deepEqual(
    (await undoLeftovers(scratch.dir)).map(({ outcome }) => outcome),
    Array(words.length + 1).fill("gone"),
  );
  assert.ok(scratch.isClean());
});

Deno.test("journal file: records a sysctl by name and value, and still reads the older form", async () => {
  using scratch = new Scratch();
  const [name, value] = ["net.ipv4.conf.onion-none.rp_filter", "1"];
  const journal = new Journal(scratch.dir);
  await journal.change(
    [{ change: "new", undo: { kind: "set sysctl", name, value } }],
    () => Promise.resolve(),
  );
  const line = scratch.read(OWN).split("\n")[1]!;
  assert.equal(line, `{"change":"new","undo":{"sysctl":"${name}","value":"${value}"}}`);
  scratch.write(
    "1.journal",
    await deadHeader(),
    entry("old", ["sysctl", "-w", `${name}=${value}`]),
    `${line}\n`,
  );
  // Neither starts a program, because the host may have none.
  const path = Deno.env.get("PATH") ?? "";
  Deno.mkdirSync(`${scratch.dir}-bin`);
  Deno.writeTextFileSync(`${scratch.dir}-bin/sysctl`, "#!/bin/sh\necho started >&2; exit 9\n", {
    mode: 0o755,
  });
  Deno.env.set("PATH", `${scratch.dir}-bin:${path}`);
  try {
    assert.deepEqual(
      (await undoLeftovers(scratch.dir)).map(({ change, outcome }) => [change, outcome]),
      [["new", "gone"], ["old", "gone"]],
    );
    await journal.undo();
  } finally {
    Deno.env.set("PATH", path);
    Deno.removeSync(`${scratch.dir}-bin`, { recursive: true });
  }
  assert.ok(scratch.isClean());
});

Deno.test("leftovers: only what cannot be undone stays in the journal, and is tried again", async () => {
  using scratch = new Scratch();
  const header = await deadHeader();
  const stubborn: Command = ["sh", "-c", "echo Operation not permitted >&2; exit 2"];
  scratch.write(
    "1.journal",
    header,
    entry("a", scratch.say("a")),
    entry("b", stubborn),
    entry("c", stubborn),
    entry("d", scratch.say("d")),
  );
  const failed = (change: string) => ({
    change,
    outcome: "failed",
    reason: "`sh -c 'echo Operation not permitted >&2; exit 2'` failed: Operation not permitted",
  });
  const undone = (change: string) => ({ change, outcome: "undone" });
  assert.deepEqual(await undoLeftovers(scratch.dir), [undone("d"), failed("c"), failed("b"), undone("a")]);
  assert.deepEqual(scratch.said(), ["d", "a"]);
  const left = [header, entry("b", stubborn), entry("c", stubborn)].map((line) =>
    `${JSON.stringify(line)}\n`
  );
  assert.deepEqual([scratch.files(), scratch.read("1.journal")], [["1.journal"], left.join("")]);
  assert.deepEqual(await undoLeftovers(scratch.dir), [failed("c"), failed("b")]);
  assert.equal(scratch.read("1.journal"), left.join(""));
});

Deno.test("journal: keeps what the run itself cannot undo for the next run", async () => {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  await makeChanges([scratch.change("a"), scratch.change("b", ["false"])], journal, true);
  assert.deepEqual((await journal.undo()).map(({ outcome }) => outcome), ["failed", "undone"]);
  const lines = scratch.read(OWN).split("\n");
  assert.deepEqual(lines.slice(1, -1).map((line) => JSON.parse(line)), [entry("b", ["false"])]);
  await journal.undo();
  assert.deepEqual(scratch.files(), [OWN]);
});

/** An entry of a journal's file that keeps a capture closed. */
const closing = (change: string, undo: Command) => ({ ...entry(change, undo), keepsClosed: true });

Deno.test("journal: a closed end undoes all but what keeps the capture closed", async () => {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  const changes = [
    scratch.change("a"),
    { ...scratch.change("b"), keepsClosed: true },
    scratch.change("c"),
    { ...scratch.change("d"), keepsClosed: true },
  ];
  await makeChanges(changes, journal, true);
  scratch.said();
  const { undone, isClosed } = await journal.close();
  assert.deepEqual([undone.map(({ change }) => change), isClosed], [["c", "a"], true]);
  assert.deepEqual(scratch.said(), ["undo-c", "undo-a"]);
  const lines = scratch.read(OWN).split("\n").slice(1, -1).map((line) => JSON.parse(line));
  assert.deepEqual(lines, [closing("b", scratch.say("undo-b")), closing("d", scratch.say("undo-d"))]);
});

Deno.test("journal: a closed end without a capture leaves nothing", async () => {
  using scratch = new Scratch();
  const journal = new Journal(scratch.dir);
  await makeChanges([scratch.change("a")], journal, true);
  const undone = [{ change: "a", outcome: "undone" }];
  assert.deepEqual(await journal.close(), { undone, isClosed: false });
  assert.ok(scratch.isClean());
  assert.deepEqual(await new Journal(scratch.dir).close(), { undone: [], isClosed: false });
});

/** Writes the journal of a dead run that kept its capture closed. */
async function writeClosed(scratch: Scratch): Promise<void> {
  scratch.write(
    "1.journal",
    await deadHeader(),
    closing("rule", scratch.say("rule")),
    entry("exit", scratch.say("exit")),
    closing("refusal", scratch.say("refusal")),
    closing("firewall", scratch.say("firewall")),
  );
}

Deno.test("leftovers: a closed capture stays when the others are cleared, and is there for one process", async () => {
  using scratch = new Scratch();
  await writeClosed(scratch);
  assert.deepEqual([...changesOfClosedCaptures(scratch.dir)], ["rule", "refusal", "firewall"]);
  {
    const { undone, closed } = await clearLeftovers(scratch.dir);
    using taken = closed;
    assert.deepEqual([undone.map(({ change }) => change), scratch.said()], [["exit"], ["exit"]]);
    const inUse = taken.runs.map(({ owner }) => ({ pid: owner.pid, isVisible: false }));
    assert.deepEqual([inUse.length, liveRuns(scratch.dir)], [1, inUse]);
    // Other processes leave it alone meanwhile.
    assert.deepEqual([await undoLeftovers(scratch.dir), scratch.said()], [[], []]);
    assert.deepEqual((await clearLeftovers(scratch.dir)).closed.runs, []);
    assert.equal(changesOfClosedCaptures(scratch.dir).size, 0);
    assert.equal(changesOfLiveRuns(scratch.dir).size, 3);
    // To this process they are what it may take over.
    assert.equal(changesOfClosedCaptures(scratch.dir, taken).size, 3);
    assert.equal(changesOfLiveRuns(scratch.dir, taken).size, 0);
  }
  assert.deepEqual(liveRuns(scratch.dir), []);
  assert.deepEqual((await undoLeftovers(scratch.dir)).map(({ change }) => change), [
    "firewall",
    "refusal",
    "rule",
  ]);
  assert.ok(scratch.isClean());
});

Deno.test("take-over: adopts what the run needs, undoes the rest, and leaves what it made itself", async () => {
  using scratch = new Scratch();
  await writeClosed(scratch);
  const { closed } = await clearLeftovers(scratch.dir);
  scratch.said();
  const journal = new Journal(scratch.dir);
  // The run found the rule, but not the refusal, and has a firewall of its own.
  await makeChanges(
    [scratch.change("refusal", scratch.say("refusal")), scratch.change("own firewall")],
    journal,
    true,
  );
  scratch.said();
  const undone = await journal.takeOver(closed, ["rule"]);
  assert.deepEqual([undone.map(({ change }) => change), scratch.said()], [["firewall"], ["firewall"]]);
  assert.deepEqual(scratch.files(), [OWN]);
  assert.deepEqual([...changesOfLiveRuns(scratch.dir).keys()], ["rule", "refusal", "own firewall"]);
  const own = await journal.undo();
  assert.deepEqual(own.map(({ change }) => change), ["own firewall", "refusal", "rule"]);
  assert.ok(scratch.isClean());
});

Deno.test("take-over: a run that ends before it leaves the closed capture to others", async () => {
  using scratch = new Scratch();
  await writeClosed(scratch);
  {
    const { closed } = await clearLeftovers(scratch.dir);
    using _ = closed;
    const journal = new Journal(scratch.dir);
    await makeChanges([scratch.change("a")], journal, true);
    await journal.undo();
  }
  assert.deepEqual([...changesOfClosedCaptures(scratch.dir)], ["rule", "refusal", "firewall"]);
  assert.deepEqual(leftovers(scratch.dir), ["rule", "refusal", "firewall"]);
});

Deno.test("take-over: nothing is to do on an open host", async () => {
  using scratch = new Scratch();
  const { undone, closed } = await clearLeftovers(scratch.dir);
  assert.deepEqual([undone, await new Journal(scratch.dir).takeOver(closed, ["rule"])], [[], []]);
  assert.ok(scratch.isClean());
});

Deno.test("leftovers: a locked journal belongs to a run that is up, whatever its process id says", async () => {
  using scratch = new Scratch();
  const header = await deadHeader();
  scratch.write("1.journal", header, entry("a", scratch.say("a")));
  {
    using _ = lockFile(`${scratch.dir}/1.journal`);
    assert.deepEqual([await undoLeftovers(scratch.dir), leftovers(scratch.dir), scratch.said()], [
      [],
      [],
      [],
    ]);
    assert.deepEqual(liveRuns(scratch.dir).map(({ isVisible }) => isVisible), [false]);
    assert.deepEqual([...changesOfLiveRuns(scratch.dir).keys()], ["a"]);
    // Its network may be one that cannot be seen from here.
    scratch.write("2.journal", { ...header, network: "1" }, entry("b", scratch.say("b")));
    using __ = lockFile(`${scratch.dir}/2.journal`);
    await undoLeftovers(scratch.dir);
    assert.deepEqual(scratch.files(), ["1.journal", "2.journal"]);
  }
  assert.deepEqual((await undoLeftovers(scratch.dir)).map(({ change }) => change), ["a"]);
  assert.ok(scratch.isClean());
});

Deno.test("journal: is locked until it ends, and takes a free name", async () => {
  using scratch = new Scratch();
  scratch.write(OWN, await deadHeader(), entry("a", scratch.say("a")));
  const before = scratch.read(OWN);
  const journal = new Journal(scratch.dir);
  await makeChanges([scratch.change("b"), scratch.change("c", ["false"])], journal, true);
  const name = `${Deno.pid}-2.journal`;
  assert.deepEqual([scratch.files(), scratch.read(OWN)], [[name, OWN], before]);
  assert.equal(lockFile(`${scratch.dir}/${name}`), undefined);
  assert.equal((await journal.undo())[0]?.outcome, "failed");
  const lock = lockFile(`${scratch.dir}/${name}`);
  assert.ok(lock !== undefined);
  lock[Symbol.dispose]();
});

Deno.test("leftovers: reports a file that is no journal, and neither runs nor removes it", async () => {
  using scratch = new Scratch();
  const evil = entry("a", scratch.say("a"));
  const garbage: (string | object)[][] = [
    [],
    ["\0\xff\n"],
    ["{}\n", evil],
    ["null\n", evil],
    ["[1]\n", evil],
    [evil, evil],
  ];
  for (const lines of garbage) {
    scratch.write("1.journal", ...lines);
    assert.deepEqual(await undoLeftovers(scratch.dir), [{
      change: `${scratch.dir}/1.journal`,
      outcome: "failed",
      reason: "no journal that this version can read; remove it if its run left nothing behind",
    }]);
    assert.deepEqual([scratch.said(), scratch.files()], [[], ["1.journal"]]);
    assert.deepEqual([leftovers(scratch.dir), changesOfLiveRuns(scratch.dir).size], [[], 0]);
  }
});

Deno.test("journal file: skips lines that are no changes", async () => {
  using scratch = new Scratch();
  const lines = ["null\n", "1\n", "\n", { change: "x" }, { change: "x", undo: "true" }, {
    change: "x",
    undo: [],
  }, {
    change: "x",
    undo: [1],
  }];
  scratch.write("1.journal", await deadHeader(), ...lines, entry("a", scratch.say("a")));
  assert.deepEqual((await undoLeftovers(scratch.dir)).map(({ change }) => change), ["a"]);
});

Deno.test("leftovers: removes half-written journals of killed writers, and no other file", async () => {
  using scratch = new Scratch();
  const child = new Deno.Command("true").spawn();
  await child.status;
  scratch.write("1.journal", await ownHeader(), entry("a", ["false"]));
  scratch.write("state.json", "x");
  scratch.write(`7.journal.${Deno.pid}.new`, "x");
  scratch.write(`7.journal.${child.pid}.new`, "x");
  assert.deepEqual(await undoLeftovers(scratch.dir), []);
  assert.deepEqual(scratch.files(), ["1.journal", `7.journal.${Deno.pid}.new`, "state.json"]);
});

Deno.test("journal: creates its directory again if another run has removed it", async () => {
  using scratch = new Scratch();
  const [one, other] = [new Journal(scratch.dir), new Journal(scratch.dir)];
  await one.change([recorded("a", ["true"])], () => Promise.resolve());
  await one.undo();
  assert.ok(scratch.isClean());
  await other.change([recorded("b", scratch.say("b"))], () => Promise.resolve());
  await other.undo();
  assert.deepEqual(scratch.said(), ["b"]);
});

Deno.test("journals: may be read if there are none", () => {
  using scratch = new Scratch();
  assert.doesNotThrow(() => requireJournals(scratch.dir));
  assert.deepEqual(leftovers(scratch.dir), []);
});
