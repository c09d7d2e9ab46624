/**
 * Raw options → Settings: every option read by its own reader in the light of the stage, every default filled in.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { type Before, type Option, OPTIONS, type RawOptions, STAGE, stageList } from "./options.ts";
import type { Settings } from "./settings.ts";
import { type Stage, STAGES } from "./stages.ts";
import type { Given } from "./values.ts";

/**
 * Makes the settings of a run out of what the user said.
 *
 * @throws {ConfigError} that names the first option which cannot be taken, and the remedy
 */
export function validate(raw: RawOptions): Settings {
  if (raw.stage === undefined) {
    throw new ConfigError("no stage is named", `name one with --stage N; there are ${stageList(STAGES)}`);
  }
  const stage = STAGE.read(raw.stage);
  const settings: Record<string, unknown> = { stage };
  for (const [name, option] of Object.entries(OPTIONS)) {
    settings[name] = valueOf(option, raw[name as keyof RawOptions], stage, settings);
  }
  // The table's type holds one option, of the right type, for each field.
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
  // Said but without effect is a misunderstanding, and better cleared up now than wondered about later.
  if (option.meantFor !== undefined && !option.meantFor(stage)) {
    const others = STAGES.filter(option.meantFor);
    const remedy = others.length === 0 ? "leave it out" : `leave it out, or run ${stageList(others)}`;
    throw new ConfigError(`${given.at}${given.name} means nothing in stage ${stage.number}`, remedy);
  }
  return option.read(given, stage, before);
}
