/**
 * CLAIMS.md: what is claimed, where it is measured, and what was measured there. Made from the
 * committed results; `make bench` and `make soak` rewrite it, `claims.test.ts` holds it to them.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { show } from './common/figures';
import { EXPERIMENTS_DIRECTORY, type Results, readResults, resultsPath } from './common/results';
import type { Declared } from './table';

export const CLAIMS = join(EXPERIMENTS_DIRECTORY, 'CLAIMS.md');

const HEAD = `# Claims

Each row is one claim, the experiment that tests it, and the last full run's figure, from the raw
samples in its results file (which also names the machine). A load far above 0 before the run means
that the machine was busy: repeat it on a quiet one. Made by \`make bench\` and \`make soak\`.
`;

export const COLUMNS = [
  'Claim',
  'Experiment',
  'Command',
  'Bar',
  'Measured',
  'Median (least … most)',
  'Peer',
  'Met',
  'Date',
  'Load before',
] as const;

export type Row = Record<(typeof COLUMNS)[number], string>;

export const rowsOf = ({ name, command }: Declared, { figures, at, load }: Results): Row[] =>
  figures.map((figure) => {
    const { bar, measured, ours, peer, met } = show(figure);
    return {
      Claim: figure.claim,
      Experiment: `[${name}](${name}/results/figures.json)`,
      Command: `\`${command}\``,
      Bar: bar,
      Measured: measured,
      'Median (least … most)': ours,
      Peer: peer,
      Met: met,
      Date: at.slice(0, 10),
      'Load before': String(load.before),
    };
  });

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;

export const render = (rows: readonly Row[]): string =>
  `${HEAD}\n${line(COLUMNS)}${line(COLUMNS.map(() => '---'))}` +
  rows.map((row) => line(COLUMNS.map((column) => row[column]))).join('');

/** The rows that stand in a CLAIMS.md, read back. */
export function parse(text: string): Row[] {
  const [head, , ...lines] = text.split('\n').filter((one) => one.startsWith('|'));
  const cells = (one: string): string[] =>
    one
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
  if (head === undefined || cells(head).join() !== COLUMNS.join()) {
    throw new Error(`The table of CLAIMS.md has other columns than ${COLUMNS.join(', ')}`);
  }
  return lines.map((one) => {
    const found = cells(one);
    return Object.fromEntries(COLUMNS.map((column, i) => [column, found[i] ?? ''])) as Row;
  });
}

/** From the results of all experiments that have some. */
export function writeClaims(experiments: readonly Declared[]): void {
  const rows = experiments.flatMap((declared) => {
    const results = readResults(resultsPath(declared.name));
    return results === null ? [] : rowsOf(declared, results);
  });
  writeFileSync(CLAIMS, render(rows));
}
