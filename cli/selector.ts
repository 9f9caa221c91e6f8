/** Labels of nodes as people type them: `tier=edge,region=eu`. */
import { CliError, EXIT } from './exit-codes';

export function selectorOf(text: string | undefined): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const part of text === undefined ? [] : text.split(',')) {
    const [, key, value] = /^([^=]+)=([^=]*)$/.exec(part.trim()) ?? [];
    if (key === undefined || value === undefined || key in labels) {
      throw new CliError(
        EXIT.usage,
        `"${text}" is no selector`,
        'Write it as tier=edge,region=eu.',
      );
    }
    labels[key] = value;
  }
  return labels;
}
