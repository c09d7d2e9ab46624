/**
 * Raw options → Settings: reads every option by its own reader and fills in the defaults.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { type Before, flagOf, FLAGS, type Option, type RawOptions, stageList } from "./options.ts";
import type { Settings } from "./settings.ts";
import { STAGES } from "./stages.ts";
import type { Given } from "./values.ts";

/**
 * Makes the settings of a run from the user's options.
 *
 * @throws {ConfigError} naming the first invalid option, and the remedy
 */
export function validate(raw: RawOptions): Settings {
  if (raw.stage === undefined) {
    throw new ConfigError("no stage is given", `choose one with --stage N; there are ${stageList(STAGES)}`);
  }
  // The type of the table has one option, of the right type, for each field.
  const settings = {} as Record<string, unknown> & Settings;
  for (const [name, option] of Object.entries<Option<unknown>>(FLAGS)) {
    const given = raw[name as keyof RawOptions];
    if (given !== undefined) requireEffect(option, given, settings);
    const value = given ?? defaultOf(name, option, settings);
    settings[name] = value === undefined ? undefined : option.read(value, settings);
  }
  return Object.freeze(settings);
}

/** Refuses an option without effect, because it is a misunderstanding. */
function requireEffect({ meantFor }: Option<unknown>, given: Given, { stage }: Before): void {
  if (meantFor === undefined || meantFor(stage)) return;
  const others = STAGES.filter(meantFor);
  const remedy = others.length === 0 ? "leave it out" : `leave it out, or run ${stageList(others)}`;
  throw new ConfigError(`${given.at}${given.name} has no effect in stage ${stage.number}`, remedy);
}

function defaultOf(name: string, { default: value }: Option<unknown>, before: Before): Given | undefined {
  const text = typeof value === "function" ? value(before) : value;
  return text === undefined ? undefined : { text, name: flagOf(name), at: "" };
}
