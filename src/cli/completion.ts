/**
 * `onion completion SHELL` prints the script that a shell loads. The script calls it again with the
 * words of a command line, and gets back how the last word can continue.
 *
 * Each line of the answer is a word; for zsh and fish, a tab and the word's meaning follow. In the
 * place of words, {@linkcode PATHS} ask the shell for path names.
 *
 * @module
 */
import type { Offers } from "../config/options.ts";
import { show } from "../config/values.ts";
import { ConfigError } from "../errors.ts";
import { PARTIES } from "./lab_arguments.ts";
import { optionsOf, parseWords } from "./parse.ts";
import { findCommand, HELP, RUN, SHELLS, VERSION } from "./words.ts";

/** Lines that ask the shell for path names. */
const PATHS = { files: "__FILE__:file:", directories: "__FILE__:directory:" } as const;

/** A word, and its meaning. */
type Suggestion = readonly [word: string, help?: string];

const QUESTIONS: readonly Suggestion[] = [[HELP[0], "print the help"], [VERSION[0], "print the version"]];

/**
 * What `onion completion` prints.
 *
 * @param words the shell, then the command line up to the word under the cursor
 * @throws {ConfigError} if the shell is missing or unknown
 */
export function completion([name, ...line]: readonly string[]): string {
  const remedy = `write onion completion ${SHELLS.join("|")}`;
  if (name === undefined) throw new ConfigError("onion completion needs the name of a shell", remedy);
  const shell = SHELLS.find((each) => each === name);
  if (shell === undefined) throw new ConfigError(`no completion for ${show(name)}`, remedy);
  if (line.length === 0) return SCRIPTS[shell];
  return suggestions(line).map(([word, help = ""]) =>
    shell === "bash" || help === "" ? word : `${word}\t${help}`
  ).join("\n");
}

function suggestions(line: readonly string[]): Suggestion[] {
  const last = line.at(-1)!;
  const command = findCommand(line.slice(0, -1));
  const { row, words } = command;
  const { options, operands, end, lacking } = parseWords(command);
  if (lacking !== undefined) return offered(lacking.offers, last);

  const asOperand = operands.length > 0 ? [] : offered(row.operands?.offers, last);
  if (end < words.length) return asOperand;
  const known = optionsOf(row);
  const [, flag, value] = /^(-[^=]*)=(.*)$/s.exec(last) ?? [];
  if (flag !== undefined) {
    const values = offered(known.find((option) => option.flag === flag)?.offers, value);
    return values.map(([word]) => [word.startsWith("__") ? word : `${flag}=${word}`]);
  }
  const first: Suggestion[] = [
    ...Object.entries(row.commands ?? {}).map(([word, { help }]) => [word, help] as const),
    ...row === RUN ? QUESTIONS : [],
  ];
  const flags = known.filter(({ name }) => !Object.hasOwn(options, name))
    .map(({ flag, help }): Suggestion => [flag, help]);
  const suggested = [...words.length === 0 ? first : [], ...last.startsWith("-") ? flags : []];
  return [...suggested.filter(([word]) => word.startsWith(last)), ...asOperand];
}

function offered(offers: Offers = [], prefix = ""): Suggestion[] {
  if (offers === "files" || offers === "directories") return [[PATHS[offers]]];
  const words = offers === "parties" ? PARTIES : offers;
  return words.filter((word) => word.startsWith(prefix)).map((word) => [word]);
}

/** The scripts. A value after `--flag=` comes back with its flag, and readline wants it alone. */
const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: `function _onion () {
  local -a words=()
  local word line
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD}"; do
    # readline splits --stage=2 into three words, and replaces only the last one
    if (( \${#words[@]} )) && [[ ( $word == =* && \${words[-1]} == --* ) || \${words[-1]} == --*= ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done
  local prefix=""
  [[ \${words[-1]} == --*=* ]] && prefix="\${words[-1]%%=*}="
  local value="\${words[-1]#"$prefix"}"
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      ${PATHS.files} | ${PATHS.directories})
        compopt -o filenames 2>/dev/null
        local kind=-f
        [[ $line == ${PATHS.directories} ]] && kind=-d
        mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen "$kind" -- "$value")
        ;;
      ?*) COMPREPLY+=("\${line#"$prefix"}") ;;
    esac
  done < <(onion 'completion' 'bash' "\${words[@]}" 2>/dev/null)
}
complete -F _onion onion`,
  zsh: `#compdef onion
function _onion () {
  local line
  local -a offers
  for line in "\${(@f)$(onion 'completion' 'zsh' "\${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
    case "$line" in
      ${PATHS.files} | ${PATHS.directories})
        [[ $PREFIX == --*=* ]] && compset -P '*='
        if [[ $line == ${PATHS.directories} ]]; then _files -/; else _files; fi
        ;;
      ?*) offers+=("\${\${line//:/\\\\:}/$'\\t'/:}") ;;
    esac
  done
  (( \${#offers} )) && _describe -V onion offers
}
compdef _onion onion`,
  fish: `function __onion_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l prefix (string match -r -- '^--[^=]*=' $current)
  set -l value (string replace -r -- '^--[^=]*=' '' $current)
  for line in (onion 'completion' 'fish' $words[2..-1] "$current" 2>/dev/null)
    switch $line
      case '${PATHS.files}'
        printf '%s\\n' "$prefix"(__fish_complete_path "$value")
      case '${PATHS.directories}'
        printf '%s\\n' "$prefix"(__fish_complete_directories "$value")
      case ''
      case '*'
        printf '%s\\n' $line
    end
  end
end
complete -c onion -f -a '(__onion_complete)'`,
};
