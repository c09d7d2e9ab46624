import assert from "node:assert/strict";
import { hideImports } from "../../scripts/self_extracting.ts";

Deno.test("hideImports: hides later imports only", () => {
  const code = `import{a}from"./a.js";const{b}=await import("./b.js");c=()=>import("./c.js")`;
  assert.equal(
    hideImports(code),
    `import{a}from"./a.js";const{b}=await import((0,"./b.js"));c=()=>import((0,"./c.js"))`,
  );
});
