/** Completion scripts of shells, made from the tree of commands: static words, no call of `aether`. */
import type { Argument, Command, Option } from 'commander';
import { KIND_NAMES, wordOf } from '../core/model/resources';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Word {
  word: string;
  about: string;
}

/** What may follow an option. */
type Value = 'none' | 'file' | 'other';

interface Place {
  /** `aether lab exec`. */
  path: string;
  commands: Word[];
  /** What its first argument may be, where that is known. */
  words: Word[];
  options: {
    flags: string[];
    about: string;
    value: Value;
    long: string | null;
    short: string | null;
  }[];
}

const FILES = /<(path|dir|file)>/;

const valueOf = (option: Option): Value => {
  if (!option.required && !option.optional) return 'none';
  return FILES.test(option.flags) ? 'file' : 'other';
};

const kinds: readonly Word[] = KIND_NAMES.map((kind) => ({ word: wordOf(kind), about: '' }));

/** No resource, and listed all the same. */
const BLOCK: Word = { word: 'block', about: 'what is blocked by hand' };

function wordsOf(command: Command): readonly Word[] {
  const first: Argument | undefined = command.registeredArguments[0];
  if (first?.name() === 'kind') return command.name() === 'get' ? [...kinds, BLOCK] : kinds;
  return (first?.argChoices ?? []).map((word) => ({ word, about: '' }));
}

/** The command and all below it. */
function placesOf(command: Command, above = ''): Place[] {
  const path = above === '' ? command.name() : `${above} ${command.name()}`;
  const help = command.createHelp();
  const options = help.visibleOptions(command).map((option) => ({
    flags: [option.short, option.long].filter((flag) => flag != null),
    about: option.description,
    value: valueOf(option),
    long: option.long?.replace(/^--/, '') ?? null,
    short: option.short?.replace(/^-/, '') ?? null,
  }));
  const commands = command.commands.map((one) => ({ word: one.name(), about: one.description() }));
  const words = [...wordsOf(command)];
  const below = command.commands.flatMap((one) => placesOf(one, path));
  return [{ path, commands, words, options }, ...below];
}

/** In single quotes, for any of the shells. */
const quote = (text: string, escape: string): string => `'${text.replaceAll("'", escape)}'`;
const POSIX = `'\\''`;
const FISH = `\\'`;
const words = (list: readonly string[]): string => quote(list.join(' '), POSIX);

const pathsBelow = (places: readonly Place[]): string[] => places.slice(1).map(({ path }) => path);

/** `path flag` of the options with such a value. */
const flagsWith = (places: readonly Place[], value: Value): string[] =>
  places.flatMap(({ path, options }) =>
    options
      .filter((option) => option.value === value)
      .flatMap(({ flags }) => flags.map((flag) => `${path} ${flag}`)),
  );

/** One branch of a `case`, for any of these. */
const branch = (patterns: readonly string[], then: string): string =>
  patterns.length === 0
    ? ''
    : `    ${patterns.map((one) => quote(one, POSIX)).join('|')}) ${then} ;;\n`;

function bash(places: readonly Place[]): string {
  const lists = places.map(({ path, commands, words: first, options }) => {
    const plain = [...commands, ...first].map(({ word }) => word);
    const flags = options.flatMap((option) => option.flags);
    return branch([path], `words=${words(plain)} flags=${words(flags)}`);
  });
  return `# Completion of aether for bash: source <(aether completion bash)
_aether() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} at=aether named= words flags i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [ "\${COMP_WORDS[i]}" != -- ] || return
    case "$at \${COMP_WORDS[i]}" in
${branch(pathsBelow(places), 'at+=" ${COMP_WORDS[i]}"')}    *) [[ \${COMP_WORDS[i]} == -* ]] || named=yes ;;
    esac
  done
  COMPREPLY=()
  case "$at $before" in
${branch(flagsWith(places, 'file'), 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return')}${branch(flagsWith(places, 'other'), 'return')}  esac
  case "$at" in
${lists.join('')}  esac
  [ -z "$named" ] || words=
  [[ $word != -* ]] || words=$flags
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _aether aether
`;
}

const described = ({ word, about }: Word): string =>
  quote(`${word.replaceAll(':', '\\:')}${about === '' ? '' : `:${about}`}`, POSIX);

function zsh(places: readonly Place[]): string {
  const lists = places.map(({ path, commands, words: first, options }) => {
    const plain = [...commands, ...first].map(described);
    const flags = options.flatMap((option) =>
      option.flags.map((word) => described({ word, about: option.about })),
    );
    return branch([path], `words_=(${plain.join(' ')}) flags=(${flags.join(' ')})`);
  });
  return `#compdef aether
# Completion of aether for zsh: source <(aether completion zsh)
_aether() {
  local at=aether named= i
  local -a words_ flags
  for ((i = 2; i < CURRENT; i++)); do
    [[ \${words[i]} != -- ]] || return
    case "$at \${words[i]}" in
${branch(pathsBelow(places), 'at+=" ${words[i]}"')}    *) [[ \${words[i]} == -* ]] || named=yes ;;
    esac
  done
  case "$at \${words[CURRENT - 1]}" in
${branch(flagsWith(places, 'file'), '_files; return')}${branch(flagsWith(places, 'other'), 'return')}  esac
  case "$at" in
${lists.join('')}  esac
  if [[ $PREFIX == -* ]]; then _describe -o option flags; elif [[ -z $named ]]; then _describe command words_; fi
}
compdef _aether aether
`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, commands, words: first, options }) => {
    const at = `complete -c aether -n ${quote(`__aether_at ${path}`, FISH)}`;
    return [
      ...[...commands, ...first].map(
        ({ word, about }) => `${at} -a ${word} -d ${quote(about, FISH)}`,
      ),
      ...options.map(({ long, short, value, about }) => {
        const flags = [short && `-s ${short}`, long && `-l ${long}`].filter((flag) => flag != null);
        const takes = { none: '', file: ' -r -F', other: ' -x' }[value];
        return `${at} ${flags.join(' ')}${takes} -d ${quote(about, FISH)}`;
      }),
    ];
  });
  return `# Completion of aether for fish: aether completion fish | source
function __aether_at
    set -l at aether
    for word in (commandline -opc)[2..]
        switch "$at $word"
            case ${pathsBelow(places)
              .map((path) => quote(path, FISH))
              .join(' ')}
                set at "$at $word"
            case '* -*'
            case '*'
                set at "$at …"
        end
    end
    string match -q -- '-*' (commandline -ct); and set at (string replace -r ' ….*' '' "$at")
    test "$at" = "$argv"
end
complete -c aether -f
${lines.join('\n')}
`;
}

const MAKERS: Readonly<Record<Shell, (places: readonly Place[]) => string>> = { bash, zsh, fish };

export const completionOf = (program: Command, shell: Shell): string =>
  MAKERS[shell](placesOf(program));
