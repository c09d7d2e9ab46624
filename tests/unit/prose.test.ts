/**
 * How comments look, so that they can be read beside code in any window.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ROOT } from "../../scripts/project.ts";

/** Max width of a line with a comment, in columns. */
const WIDTH = 100;

/** The files of the project that hold TypeScript. */
function* sources(folder = ""): Generator<string> {
  const folders = ["src", "tests", "bench", "scripts"];
  for (const { name, isFile } of Deno.readDirSync(ROOT + folder)) {
    if (isFile) {
      if (name.endsWith(".ts")) yield folder + name;
    } else if (folder !== "" || folders.includes(name)) {
      yield* sources(`${folder}${name}/`);
    }
  }
}

/**
 * Numbers of the lines whose comment is too wide, from 1. Drawings and examples in fences may be.
 */
function tooWide(text: string): number[] {
  let isFenced = false;
  return text.split("\n").flatMap((line, index) => {
    const isComment = /^\s*(?:\/\*|\*|\/\/)/.test(line);
    if (isComment && line.includes("```")) isFenced = !isFenced;
    return isComment && !isFenced && line.length > WIDTH ? [index + 1] : [];
  });
}

Deno.test("prose: comments are at most 100 columns wide", () => {
  const found = [...sources()].flatMap((path) =>
    tooWide(Deno.readTextFileSync(ROOT + path)).map((line) => `${path}:${line}`)
  );
  assert.ok(found.length === 0, `\n  ${found.join("\n  ")}\n`);
});

Deno.test("prose: the width test finds wide comments outside fences only", () => {
  const wide = "x".repeat(WIDTH);
  assert.deepEqual(tooWide(`// ${wide}\n${wide} = 1;\n * \`\`\`\n * ${wide}\n * \`\`\`\n * ${wide}`), [1, 6]);
});
