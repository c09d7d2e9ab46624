import assert from "node:assert/strict";
import {
  boolean,
  bytes,
  integer,
  type JsonCodec,
  list,
  oneOf,
  optional,
  parsed,
  record,
  text,
  variant,
} from "../../src/json.ts";

type Animal =
  | { readonly kind: "cat"; readonly lives: number }
  | { readonly kind: "dog"; readonly name: string; readonly tricks?: readonly string[] };

const animal: JsonCodec<Animal> = variant("kind", {
  cat: record<{ lives: number }>({ lives: integer(0, 9) }),
  dog: record<{ name: string; tricks?: readonly string[] }>({ name: text, tricks: optional(list(text)) }),
});

function refuses(codec: JsonCodec<unknown>, json: unknown, message: string, field = "field"): void {
  assert.throws(() => codec.decode(json, field), { name: "WireError", message });
}

Deno.test("json codecs: read what they write", () => {
  const cases: [codec: JsonCodec<unknown>, value: unknown, json: unknown][] = [
    [boolean, true, true],
    [text, "", ""],
    [integer(-1, 1), -1, -1],
    [oneOf("a", "b"), "b", "b"],
    [bytes(3), Uint8Array.of(0, 0xab, 0xff), "00abff"],
    [list(integer(0, 9)), [1, 2], [1, 2]],
    [animal, { kind: "dog", name: "Rex" }, { kind: "dog", name: "Rex" }],
    [animal, { kind: "dog", name: "Rex", tricks: ["sit"] }, { kind: "dog", name: "Rex", tricks: ["sit"] }],
  ];
  for (const [codec, value, json] of cases) {
    assert.deepEqual(codec.encode(value), json);
    assert.deepEqual(codec.decode(json, "field"), value);
  }
});

Deno.test("json codecs: leave out a field that is undefined", () => {
  const codec = record<{ name: string; age?: number | undefined }>({
    name: text,
    age: optional(integer(0, 99)),
  });
  assert.deepEqual(codec.encode({ name: "Ann", age: undefined }), { name: "Ann" });
});

Deno.test("json codecs: refuse a value of another type or out of range, and say what it must be", () => {
  for (const json of [0, "true", null, undefined]) refuses(boolean, json, "field must be true or false");
  for (const json of [0, null, ["a"]]) refuses(text, json, "field must be text");
  for (const json of [-1, 10, 1.5, NaN, Infinity, "1", null]) {
    refuses(integer(0, 9), json, "field must be an integer from 0 to 9");
  }
  for (const json of ["c", "", 1]) refuses(oneOf("a", "b"), json, "field must be one of a, b");
  for (const json of ["00ab", "00ABFF", "00abffff", " 00abff", 7]) {
    refuses(bytes(3), json, "field must be 3 bytes in hex");
  }
  for (const json of [{}, "ab", null]) refuses(list(text), json, "field must be an array");
  for (const json of [[], "ab", null, 7]) refuses(animal, json, "field must be an object");
  const digit = parsed<number>("a digit", String, (text) => /^\d$/.test(text) ? Number(text) : undefined);
  for (const json of ["x", 7]) refuses(digit, json, "field must be a digit");
});

Deno.test("json codecs: name the inner field that is wrong", () => {
  refuses(animal, { kind: "cat", lives: 10 }, "pet.lives must be an integer from 0 to 9", "pet");
  refuses(animal, { kind: "dog", name: "Rex", tricks: ["sit", 7] }, "pet.tricks[1] must be text", "pet");
  refuses(animal, { kind: "dog", name: 7 }, "dog.name must be text", "");
});

Deno.test("json codecs: refuse a missing, a surplus, and a null field", () => {
  refuses(animal, { kind: "cat" }, "field.lives is missing");
  refuses(animal, { kind: "cat", lives: 9, name: "Tom" }, 'field has an unknown field "name"');
  refuses(animal, { kind: "dog", name: "Rex", tricks: null }, "field.tricks must be an array");
  refuses(
    animal,
    JSON.parse('{"kind":"cat","lives":9,"__proto__":{}}'),
    'field has an unknown field "__proto__"',
  );
});

Deno.test("json codecs: refuse an unknown kind, also one that every object inherits", () => {
  for (const kind of ["cow", "toString", "__proto__"]) {
    refuses(animal, { ["kind"]: kind }, `the message has an unknown kind "${kind}"`, "");
  }
  refuses(animal, {}, "field has an unknown kind undefined");
  refuses(animal, { kind: 7 }, "field has an unknown kind 7");
});

Deno.test("json codecs: quote no more than 40 characters of what they refuse", () => {
  const long = "x".repeat(1000);
  refuses(animal, { kind: long }, `field has an unknown kind "${"x".repeat(39)}`);
});

Deno.test("json codecs: refuse values that nest however deep", () => {
  const deep = "[".repeat(30_000) + "]".repeat(30_000);
  refuses(animal, JSON.parse(`{"kind":${deep}}`), "field has an unknown kind […]");
  refuses(animal, JSON.parse(`{"kind":{"kind":${deep}}}`), "field has an unknown kind {…}");
  refuses(list(text), JSON.parse(deep), "field[0] must be text");
});
