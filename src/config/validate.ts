/**
 * Raw options → Settings: reads every option by its own reader and fills in the defaults.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { type Before, type Option, OPTIONS, type RawOptions, STAGE, stageList } from "./options.ts";
import type { Settings } from "./settings.ts";
import { type Stage, STAGES } from "./stages.ts";
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
  const stage = STAGE.read(raw.stage);
  const settings: Record<string, unknown> = { stage };
  for (const [name, option] of Object.entries(OPTIONS)) {
    settings[name] = valueOf(option, raw[name as keyof RawOptions], stage, settings);
  }
  // The type of the table has one option, of the right type, for each field.
  return Object.freeze(settings) as unknown as Settings;
}

function valueOf(
  option: Option<unknown>,
  given: Given | undefined,
  stage: Stage,
  before: Before,
): unknown {
  if (given === undefined) {
    if (option.default === undefined) return undefined;
    const text = typeof option.default === "function" ? option.default(stage, before) : option.default;
    return option.read({ text, name: option.flag, at: "" }, stage, before);
  }
  // An option without effect is a misunderstanding, so say so now.
  if (option.meantFor !== undefined && !option.meantFor(stage)) {
    const others = STAGES.filter(option.meantFor);
    const remedy = others.length === 0 ? "leave it out" : `leave it out, or run ${stageList(others)}`;
    throw new ConfigError(`${given.at}${given.name} has no effect in stage ${stage.number}`, remedy);
  }
  return option.read(given, stage, before);
}
