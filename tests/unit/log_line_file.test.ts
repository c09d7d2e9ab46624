import assert from "node:assert/strict";
import { OperatorError } from "../../src/errors.ts";
import { type Disk, Line, LineFile } from "../../src/log/line_file.ts";

/** A directory that is removed after the test. */
function makeDirectory() {
  const path = Deno.makeTempDirSync({ prefix: "onion-log-" });
  return {
    path,
    file: `${path}/stage2.proxy.out`,
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

/** A disk that the test plays. */
function disk(write: (bytes: Uint8Array) => Promise<number>): () => Disk {
  return () => ({ write, [Symbol.dispose]: () => {} });
}

Deno.test("line file: holds every line in order once it is closed", async () => {
  using directory = makeDirectory();
  const lines = Array.from({ length: 20_000 }, (_, number) => `line ${number}, ünïcödé 🧅`);
  {
    await using file = LineFile.create(directory.file, assert.fail);
    for (const line of lines) file.line(line);
  }
  assert.equal(Deno.readTextFileSync(directory.file), lines.map((line) => line + "\n").join(""));
});

Deno.test("line file: continues a file, and begins a line of its own after half a line", async () => {
  using directory = makeDirectory();
  for (const [before, after] of [["", ""], ["one\n", "one\n"], ["one\ntw", "one\ntw\n"]] as const) {
    Deno.writeTextFileSync(directory.file, before);
    {
      await using file = LineFile.continue(directory.file, assert.fail);
      file.line("three");
    }
    assert.equal(Deno.readTextFileSync(directory.file), `${after}three\n`);
  }
});

Deno.test("line file: repeats a line exactly, wherever the chunk ends", async () => {
  using directory = makeDirectory();
  const lines = ["a line", "ünïcödé 🧅", "", "x".repeat(1000), "y".repeat(600_000)];
  const times = [1, 2, 3, 7, 8, 9, 0, 70_000, 1];
  let text = "";
  {
    await using file = LineFile.create(directory.file, assert.fail);
    for (const line of lines.map((text) => new Line(text))) {
      const written = new TextDecoder().decode(line.copies(1));
      for (const count of times) {
        if (line.length * count > 2_000_000) continue; // more than may wait for the disk
        file.append(line, count);
        text += written.repeat(count);
        file.flush();
        await new Promise((resolve) => setTimeout(resolve));
      }
    }
  }
  assert.ok(Deno.readTextFileSync(directory.file) === text);
});

Deno.test("line: returns as many copies as wanted, up to the max", () => {
  for (const text of ["", "a line", "ünïcödé 🧅"]) {
    const line = new Line(text);
    let before = 0;
    for (const wanted of [1, 2, 3, 17, 2, 32, 33, 1_000_000]) {
      const written = new TextDecoder().decode(line.copies(wanted));
      const count = line.copies(wanted).length / line.length;
      assert.equal(written, `${text}\n`.repeat(count));
      assert.ok(count >= Math.min(wanted, 32) && count >= before && count <= 32, `${count}`);
      before = count;
    }
  }
  assert.throws(() => new Line("x".repeat(2 ** 20)), RangeError);
});

Deno.test("line file: replaces an existing file", async () => {
  using directory = makeDirectory();
  Deno.writeTextFileSync(directory.file, "yesterday's run");
  {
    await using file = LineFile.create(directory.file, assert.fail);
    file.line("today's");
  }
  assert.equal(Deno.readTextFileSync(directory.file), "today's\n");
});

Deno.test("line file: replaces a symbolic link instead of following it", async () => {
  using directory = makeDirectory();
  const target = `${directory.path}/shadow`;
  Deno.writeTextFileSync(target, "secret");
  Deno.symlinkSync(target, directory.file);
  {
    await using file = LineFile.create(directory.file, assert.fail);
    file.line("mine");
  }
  assert.equal(Deno.readTextFileSync(target), "secret");
  assert.equal(Deno.lstatSync(directory.file).isSymlink, false);
  assert.equal(Deno.readTextFileSync(directory.file), "mine\n");
});

Deno.test("line file: an error names the file and the remedy if it cannot be created", () => {
  using directory = makeDirectory();
  const path = `${directory.path}/missing/stage2.proxy.out`;
  assert.throws(() => LineFile.create(path, assert.fail), (error) => {
    assert.ok(error instanceof OperatorError);
    assert.match(
      error.message,
      /^cannot write the log file .*\/missing\/stage2\.proxy\.out: .*not found|No such file/i,
    );
    assert.equal(error.remedy, "choose another directory with --log-dir");
    return true;
  });
});

Deno.test("line file: writes everything in order if the disk takes a few bytes at a time", async () => {
  const written: number[] = [];
  const open = disk((bytes) => {
    written.push(...bytes.subarray(0, 3));
    return Promise.resolve(Math.min(3, bytes.length));
  });
  {
    await using file = LineFile.create("a file", assert.fail, open);
    file.line("one");
    file.flush();
    file.line("two");
    file.line("three");
  }
  assert.equal(new TextDecoder().decode(Uint8Array.from(written)), "one\ntwo\nthree\n");
});

Deno.test("line file: reports a failing disk once and stops writing", async () => {
  let asked = 0;
  const open = disk(() => {
    asked++;
    return Promise.reject(new Error("No space left on device (os error 28)"));
  });
  const complaints: string[] = [];
  const file = LineFile.create("a file", (complaint) => complaints.push(complaint), open);
  for (let round = 0; round < 3; round++) {
    file.line("a line");
    file.flush();
    await Promise.resolve();
  }
  await file[Symbol.asyncDispose]();
  assert.deepEqual(complaints, [
    "the log file a file is incomplete: No space left on device (os error 28)",
  ]);
  assert.equal(asked, 1);
});

Deno.test("line file: bounds its memory if the disk hangs, and says how many lines were lost", async () => {
  const { promise: diskIsBack, resolve } = Promise.withResolvers<void>();
  let largest = 0;
  let text = "";
  const open = disk(async (bytes) => {
    await diskIsBack;
    largest = Math.max(largest, bytes.length);
    text += new TextDecoder().decode(bytes);
    return bytes.length;
  });
  const file = LineFile.create("a file", assert.fail, open);
  const line = (number: number) => `${number}: ${"x".repeat(1000)}`;
  const count = 20_000; // 20 MB
  for (let number = 0; number < count; number++) file.line(line(number));
  const again = 5000;
  file.append(new Line("again".repeat(1000)), again);
  resolve();
  await file[Symbol.asyncDispose]();

  assert.ok(largest < 5 * 1024 * 1024, `${largest} bytes at a time`);
  const written = text.split("\n").slice(0, -1);
  const lost = Number(/^(\d+) lines lost$/.exec(written.pop()!)?.[1]);
  assert.equal(written.length + lost, count + again);
  assert.deepEqual(written, written.map((_, number) => line(number)));
});
