/** How results look: tables and colours for people, JSON for scripts. */
import Table from 'cli-table3';
import { createColors } from 'picocolors';

export interface Output {
  readonly json: boolean;
  readonly colours: ReturnType<typeof createColors>;
  /** A line on standard output; silent with `--json`. */
  say(line?: string): void;
  /** A line about what goes on, on standard error: it never mixes with results. */
  progress(line: string): void;
  /** The one result: as JSON with `--json`, else by `render`. */
  result(value: unknown, render: () => string): void;
}

export interface OutputOptions {
  json: boolean;
  /** Colours are for terminals, and not where NO_COLOR is set (https://no-color.org). */
  colour: boolean;
}

export function makeOutput(options: OutputOptions): Output {
  const write = (text: string): void => {
    process.stdout.write(`${text}\n`);
  };
  return {
    json: options.json,
    colours: createColors(options.colour),
    say: (line = '') => {
      if (!options.json) write(line);
    },
    progress: (line) => {
      process.stderr.write(`${line}\n`);
    },
    result: (value, render) => {
      write(options.json ? JSON.stringify(value, null, 2) : render());
    },
  };
}

const PLAIN = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((part) => [part, part === 'middle' ? '  ' : '']),
);

/** Columns without lines, as `kubectl` and `ip` users know them. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const made = new Table({
    head: [...head],
    chars: PLAIN,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  made.push(...rows.map((row) => [...row]));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** `3 s`, `4 min`, `2 h`, `5 d`. */
export function ago(atMs: number, nowMs: number): string {
  const s = Math.max(0, Math.round((nowMs - atMs) / 1000));
  if (s < 120) return `${s} s`;
  if (s < 7_200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3_600)} h` : `${Math.round(s / 86_400)} d`;
}

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;
