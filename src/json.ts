/**
 * Codecs for JSON that another party sends: what a codec writes it reads back, and it refuses
 * everything else in an error that names the field.
 *
 * @module
 */
import { WireError } from "./errors.ts";

/** Writes values of one type as JSON values, and reads them back. */
export interface JsonCodec<T> {
  /** The JSON value that stands for `value`. */
  encode(value: T): unknown;
  /**
   * The value that `json` stands for.
   *
   * @param field the field's name for errors, e.g. `settings.traffic.mtu`; empty for a whole
   * message
   * @throws {WireError} naming the field and what it must be
   */
  decode(json: unknown, field: string): T;
}

/** A codec for a field that may be missing. */
interface OptionalCodec<T> extends JsonCodec<T> {
  /** Tells it from other codecs. */
  readonly isOptional: true;
}

/** A codec for each field of `T`, optional exactly where the field is. */
export type Fields<T> = {
  readonly [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? OptionalCodec<NonNullable<T[K]>>
    : JsonCodec<T[K]>;
};

/** Characters of another party's text that an error quotes. */
const QUOTED = 40;

function refuse(field: string, why: string): never {
  throw new WireError(`${field === "" ? "the message" : field} ${why}`);
}

/** What an error shows of a value. Arrays and objects may nest too deep for `JSON.stringify`. */
function quote(json: unknown): string {
  if (typeof json === "object" && json !== null) return Array.isArray(json) ? "[…]" : "{…}";
  return (JSON.stringify(json) ?? "undefined").slice(0, QUOTED);
}

/** A codec for values that are JSON as they are, if `accepts` says so. */
function plain<T>(expected: string, accepts: (json: unknown) => boolean): JsonCodec<T> {
  return {
    encode: (value) => value,
    decode: (json, field) => accepts(json) ? json as T : refuse(field, `must be ${expected}`),
  };
}

/** `true` or `false`. */
export const boolean: JsonCodec<boolean> = plain("true or false", (json) => typeof json === "boolean");

/** Any text. */
export const text: JsonCodec<string> = plain("text", (json) => typeof json === "string");

/** An integer, `min` and `max` included. */
export function integer(min: number, max: number): JsonCodec<number> {
  return plain(
    `an integer from ${min} to ${max}`,
    (json) => Number.isInteger(json) && (json as number) >= min && (json as number) <= max,
  );
}

/** One of a few words. */
export function oneOf<T extends string>(...words: readonly T[]): JsonCodec<T> {
  return plain(`one of ${words.join(", ")}`, (json) => (words as readonly unknown[]).includes(json));
}

/**
 * One value and no other.
 *
 * @param what what it is, for errors
 */
export function exactly<T extends string | number>(value: T, what: string): JsonCodec<T> {
  return plain(`${value}, ${what}`, (json) => json === value);
}

/**
 * A value that travels as text.
 *
 * @param expected what the text must be, for errors, e.g. `an IPv4 address`
 * @param parse returns `undefined` for text that is something else
 */
export function parsed<T>(
  expected: string,
  format: (value: T) => string,
  parse: (text: string) => T | undefined,
): JsonCodec<T> {
  return {
    encode: format,
    decode: (json, field) =>
      (typeof json === "string" ? parse(json) : undefined) ?? refuse(field, `must be ${expected}`),
  };
}

/** Bytes, as lower-case hex digits. */
export function bytes(length: number): JsonCodec<Uint8Array<ArrayBuffer>> {
  const digits = new RegExp(`^[0-9a-f]{${2 * length}}$`);
  return parsed(
    `${length} bytes in hex`,
    (value) => value.toHex(),
    (json) => digits.test(json) ? Uint8Array.fromHex(json) : undefined,
  );
}

/** The codec of a field that may be missing. */
export function optional<T>(codec: JsonCodec<T>): OptionalCodec<T> {
  return { ...codec, isOptional: true };
}

/** An array. */
export function list<T>(item: JsonCodec<T>): JsonCodec<readonly T[]> {
  return {
    encode: (values) => values.map((value) => item.encode(value)),
    decode: (json, field) =>
      Array.isArray(json)
        ? json.map((value, index) => item.decode(value, `${field}[${index}]`))
        : refuse(field, "must be an array"),
  };
}

/** An object with exactly these fields. */
export function record<T extends object>(fields: Fields<T>): JsonCodec<T> {
  const codecs = Object.entries<JsonCodec<unknown>>(fields);
  return {
    encode: (value) =>
      Object.fromEntries(
        codecs.flatMap(([name, codec]) => {
          const inner = value[name as keyof T];
          return inner === undefined ? [] : [[name, codec.encode(inner)]];
        }),
      ),
    decode(json, field) {
      const object = objectOf(json, field);
      const path = (name: string) => field === "" ? name : `${field}.${name}`;
      const value: Record<string, unknown> = {};
      for (const [name, codec] of codecs) {
        if (Object.hasOwn(object, name)) value[name] = codec.decode(object[name], path(name));
        else if (!("isOptional" in codec)) refuse(path(name), "is missing");
      }
      const surplus = Object.keys(object).find((name) => !Object.hasOwn(fields, name));
      if (surplus !== undefined) refuse(field, `has an unknown field ${quote(surplus)}`);
      return value as T;
    },
  };
}

/**
 * Objects of several kinds, told apart by the word in one of their fields. For a whole message that
 * word begins the names of its fields in errors.
 *
 * @param tag the field's name
 * @param kinds for each word, a codec of the other fields
 */
export function variant<Tag extends string, T extends { readonly [K in Tag]: string }>(
  tag: Tag,
  kinds: { readonly [Kind in T[Tag]]: JsonCodec<Omit<Extract<T, { readonly [K in Tag]: Kind }>, Tag>> },
): JsonCodec<T> {
  const codecs = kinds as Readonly<Record<string, JsonCodec<object>>>;
  return {
    encode: (value) => ({ [tag]: value[tag], ...codecs[value[tag]]!.encode(value) as object }),
    decode(json, field) {
      const { [tag]: kind, ...rest } = objectOf(json, field);
      if (typeof kind !== "string" || !Object.hasOwn(codecs, kind)) {
        refuse(field, `has an unknown ${tag} ${quote(kind)}`);
      }
      return { [tag]: kind, ...codecs[kind]!.decode(rest, field === "" ? kind : field) } as unknown as T;
    },
  };
}

function objectOf(json: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    return json as Record<string, unknown>;
  }
  return refuse(field, "must be an object");
}
