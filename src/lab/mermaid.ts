/**
 * A demo's story as a Mermaid sequence diagram (mermaid.js.org/syntax/sequenceDiagram). Pure.
 *
 * @module
 */
import { building, contentsOf } from "./building.ts";
import { sightOf } from "./narration.ts";
import { PING, PROXY, WORLD } from "./parties.ts";
import { type Passage, pathOf } from "./passages.ts";
import { firstPing, nameOf, pingSentence, type Story } from "./story.ts";

/** The story, with the first packet that ping has sent. Routers that have no part in it are left out. */
export function storyMermaid(story: Story): string {
  const legs = firstPing(story);
  const steps = building(story.passages);
  const cast = castOf(story, legs, steps.flatMap(({ path }) => path));
  const lines = [
    ...cast.map((party) => `participant ${alias(party)} as ${party}`),
    ...story.starts.filter(({ router }) => cast.includes(router)).flatMap(({ router, pid, port }) => [
      `${PROXY}->>${alias(router)}: starts it, pid ${pid}`,
      `${alias(router)}-->>${PROXY}: I'm up, port ${port}`,
    ]),
    ...steps.flatMap((step) => crossing(step.passage, contentsOf(step))),
    ...legs.flatMap((leg) => crossing(leg, sightOf(leg))),
    ...story.ping === undefined ? [] : [`Note over ${PING}: ${escape(pingSentence(story.ping))}`],
  ];
  return ["sequenceDiagram", ...lines.map((line) => `  ${line}`)].join("\n");
}

/** Who has a part, in the order of the packet's way. */
function castOf(story: Story, legs: readonly Passage[], built: readonly string[]): string[] {
  const passed = [...pathOf(legs), ...built];
  return [
    ...story.ping === undefined ? [] : [PING],
    PROXY,
    ...new Set(passed.length > 0 ? passed : story.starts.map(({ router }) => router)),
    ...legs.some(({ to }) => to === WORLD) ? [WORLD] : [],
  ];
}

/** An arrow, and beside it what is in it, or what can be read of it by who gets it. */
function crossing(passage: Passage, note: readonly string[]): string[] {
  const { from, to, bytes } = passage;
  return [
    `${alias(from)}->>${alias(to)}: ${escape(`${nameOf(passage)}, ${bytes} bytes`)}`,
    ...note.length > 0 ? [`Note over ${alias(to)}: ${note.map(escape).join("<br/>")}`] : [],
  ];
}

/** A participant's name in Mermaid's syntax, which has no blanks. */
function alias(party: string): string {
  return party.replaceAll(" ", "");
}

/** Text as text: a semicolon would end the statement, `#` begins a character's number, `<` a tag. */
function escape(text: string): string {
  return text.replace(/[#;<>]/g, (character) => `#${character.charCodeAt(0)};`);
}
