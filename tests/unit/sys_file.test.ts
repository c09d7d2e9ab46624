import assert from "node:assert/strict";
import { continueOwnedFile, PassingFile } from "../../src/sys/file.ts";

const MEGABYTE = 1024 * 1024;

/** An empty temporary file. */
function makeFile() {
  const path = Deno.makeTempFileSync({ prefix: "onion-file-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path) };
}

/** Bytes that differ within a page and between pages. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at ^ (at >>> 8) ^ (at >>> 16)) & 0xff);
}

async function writeAll(file: PassingFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/** The output of a tool; `undefined` if the tool is missing. */
function ask(command: string, ...args: string[]): string | undefined {
  try {
    return new TextDecoder().decode(new Deno.Command(command, { args }).outputSync().stdout).trim();
  } catch {
    return undefined;
  }
}

Deno.test("passing file: holds what was written, whatever the lengths", async () => {
  using temporary = makeFile();
  const bytes = pattern(10 * MEGABYTE + 1234);
  {
    using file = new PassingFile(Deno.openSync(temporary.path, { write: true }));
    for (let at = 0, length = 1; at < bytes.length; at += length, length = length * 3 % 1_000_003) {
      await writeAll(file, bytes.subarray(at, at + length));
    }
  }
  assert.equal(Deno.readFileSync(temporary.path).findIndex((byte, at) => byte !== bytes[at]), -1);
  assert.equal(Deno.statSync(temporary.path).size, bytes.length);
});

Deno.test("passing file: goes on behind what the file has already", async () => {
  using temporary = makeFile();
  const [before, after] = [pattern(5 * MEGABYTE), pattern(9 * MEGABYTE)];
  Deno.writeFileSync(temporary.path, before);
  {
    using file = new PassingFile(continueOwnedFile(temporary.path), before.length);
    await writeAll(file, after);
  }
  const whole = Deno.readFileSync(temporary.path);
  assert.deepEqual([whole.subarray(0, before.length), whole.subarray(before.length)], [before, after]);
});

Deno.test("owned file: continues a plain file, and replaces a link so that its target stays", () => {
  const directory = Deno.makeTempDirSync({ prefix: "onion-file-" });
  using _ = { [Symbol.dispose]: () => Deno.removeSync(directory, { recursive: true }) };
  const [path, target] = [`${directory}/log`, `${directory}/target`];
  const append = (text: string) => {
    using file = continueOwnedFile(path);
    file.writeSync(new TextEncoder().encode(text));
    return Deno.readTextFileSync(path);
  };
  assert.equal(append("one\n"), "one\n", "a missing file is created");
  assert.equal(append("two\n"), "one\ntwo\n");
  Deno.writeTextFileSync(target, "secret\n");
  for (const link of [Deno.symlinkSync, Deno.linkSync]) {
    Deno.removeSync(path);
    link(target, path);
    assert.equal(append("three\n"), "three\n");
    assert.equal(Deno.readTextFileSync(target), "secret\n");
  }
});

Deno.test("passing file: sends several stretches of one write to the disk", async () => {
  using temporary = makeFile();
  const bytes = pattern(13 * MEGABYTE);
  {
    using file = new PassingFile(Deno.openSync(temporary.path, { write: true }));
    await writeAll(file, bytes);
  }
  assert.deepEqual(Deno.readFileSync(temporary.path), bytes);
});

/** The type of the file system of temporary files. */
function kindOfFileSystem(): string | undefined {
  using temporary = makeFile();
  return ask("stat", "-f", "-c", "%T", temporary.path);
}

const fileSystem = kindOfFileSystem();
const canTell = ask("fincore", "--version") !== undefined;

Deno.test({
  name: "passing file: keeps only the last stretches in memory" +
    (canTell ? fileSystem === "tmpfs" ? " (ignored: /tmp is all memory)" : "" : " (ignored: needs fincore)"),
  ignore: !canTell || fileSystem === "tmpfs",
  async fn() {
    using temporary = makeFile();
    const opened = Deno.openSync(temporary.path, { write: true });
    using file = new PassingFile(opened);
    const bytes = pattern(MEGABYTE);
    for (let written = 0; written < 32; written++) {
      await writeAll(file, bytes);
      await opened.sync(); // however slow the disk is
    }
    const resident = Number(ask("fincore", "--bytes", "--noheadings", "--output", "RES", temporary.path));
    assert.ok(resident <= 8 * MEGABYTE, `${resident} bytes`);
  },
});
