/** Kinds of resources as people name them: `node`, `nodes`, `blocklists`, `services`. */
import { type Kind, KIND_NAMES, wordOf } from '../core/model/resources';
import { CliError, EXIT } from './exit-codes';

/** `more`: what else can be named there. */
export function needKind(text: string, more: readonly string[] = []): Kind {
  const name = text.toLowerCase().replace(/s$/, '');
  const kind = KIND_NAMES.find((known) => [wordOf(known), known.toLowerCase()].includes(name));
  if (kind !== undefined) return kind;
  const known = [...KIND_NAMES.map((each) => `${wordOf(each)}s`), ...more].join(', ');
  throw new CliError(EXIT.usage, `"${text}" is no kind of resource`, `There are: ${known}.`);
}
