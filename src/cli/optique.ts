/**
 * The parts of optique that reading a command line needs, loaded without what takes long. Its runner and its help formatter would
 * cost another 20 ms at every start.
 *
 * @module
 */
import { segmentersAtOnce } from "./later_segmenter.ts";

export { object } from "@optique/core/constructs";
export { formatMessage, lineBreak, type Message, text } from "@optique/core/message";
export { map, optional } from "@optique/core/modifiers";
export { type Parser, parseSync, type Suggestion, suggestSync } from "@optique/core/parser";
export { argument, flag, option } from "@optique/core/primitives";
export { findSimilar } from "@optique/core/suggestion";
export type { OptionName } from "@optique/core/usage";
export { string, type ValueParser } from "@optique/core/valueparser";

segmentersAtOnce();
