/** The whole table, as decision 0050 shows it: medians of what was measured. */
import { median } from '../common/statistics';
import type { Row } from './measure';

const HEAD = [
  'list',
  'design',
  'listed, ns',
  '1000 hot, ns',
  'not listed, ns',
  'fill, CPU ms',
  'MiB',
  'one host, µs',
];

/** Variants of a design share its maps. */
const orNone = (value: number, text: string): string => (value === 0 ? '' : text);

const cellsOf = ({ family, prefixes, design, ns, fillCpuMs, bytes, updateUs }: Row): string[] => [
  `IPv${family}, ${prefixes}`,
  design,
  ...(['hit', 'hot', 'miss'] as const).map((kind) => median(ns[kind]).toFixed(0)),
  orNone(bytes, fillCpuMs.toFixed(0)),
  orNone(bytes, (bytes / 2 ** 20).toFixed(1)),
  orNone(bytes, median(updateUs).toFixed(1)),
];

/** In Markdown. */
export const tableOf = (rows: readonly Row[]): string =>
  [HEAD, HEAD.map(() => '---'), ...rows.map(cellsOf)]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
