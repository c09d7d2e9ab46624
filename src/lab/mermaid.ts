/**
 * The story of a demo as a Mermaid sequence diagram (mermaid.js.org/syntax/sequenceDiagram). Pure.
 *
 * @module
 */
import { building, contentsOf } from "./building.ts";
import { sightOf } from "./narration.ts";
import { PING, PROXY, WORLD } from "./parties.ts";
import { type Passage, pathOf } from "./passages.ts";
import { firstPing, nameOf, pingSentence, type Story } from "./story.ts";

/** The building of the circuit and the first ping, without routers that have no part in them. */
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

/** The parties with a part in the story, in the order of the packet's way. */
function castOf(story: Story, legs: readonly Passage[], built: readonly string[]): string[] {
  const passed = [...pathOf(legs), ...built];
  return [
    ...story.ping === undefined ? [] : [PING],
    PROXY,
    ...new Set(passed.length > 0 ? passed : story.starts.map(({ router }) => router)),
    ...legs.some(({ to }) => to === WORLD) ? [WORLD] : [],
  ];
}

/** An arrow, and a note with its contents or what its receiver can read. */
function crossing(passage: Passage, note: readonly string[]): string[] {
  const { from, to, bytes } = passage;
  return [
    `${alias(from)}->>${alias(to)}: ${escape(`${nameOf(passage)}, ${bytes} bytes`)}`,
    ...note.length > 0 ? [`Note over ${alias(to)}: ${note.map(escape).join("<br/>")}`] : [],
  ];
}

/** A participant's name without blanks, as Mermaid's syntax wants it. */
function alias(party: string): string {
  return party.replaceAll(" ", "");
}

/**
 * Escapes what Mermaid would interpret: `;` ends a statement, `#` starts a character number, `<` a
 * tag.
 */
function escape(text: string): string {
  return text.replace(/[#;<>]/g, (character) => `#${character.charCodeAt(0)};`);
}
