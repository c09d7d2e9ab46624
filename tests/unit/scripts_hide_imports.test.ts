import assert from "node:assert/strict";
import { hideImports } from "../../scripts/self_extracting.ts";

Deno.test("imports that happen now and then are hidden, those at the top stay as they are", () => {
  const code = `import{a}from"./a.js";const{b}=await import("./b.js");c=()=>import("./c.js")`;
  assert.equal(
    hideImports(code),
    `import{a}from"./a.js";const{b}=await import((0,"./b.js"));c=()=>import((0,"./c.js"))`,
  );
});
